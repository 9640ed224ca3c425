from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from migrations_app import actions, estimates, preview
from migrations_app.errors import InvalidInput
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.watch import waits_for, watch
from migrations_app.states import Status
from migrations_app.units import size, span


class Command(PortalCommand):
    help = "Request a move of an app to another region. Prints its migration_id and status."
    failed = "failed while doing it; with --watch: the move did not complete; with --dry-run: something forbids it"
    examples = (
        ("See the plan and what preflight finds; nothing is changed", "move_app shop eu-west-1 --dry-run"),
        ("Ask for the move", 'move_app shop eu-west-1 --reason "closer to its users" --as requester'),
        (
            "Ask for one that writes hardly notice, at night, and follow it",
            'move_app shop eu-west-1 --reason "closer to its users" --strategy live '
            "--not-before 2030-01-31T02:00+01:00 --watch",
        ),
        (
            "Do on the real data all that comes before the block, and undo it",
            'move_app shop eu-west-1 --reason "how long will it take?" --rehearse --watch',
        ),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", type=arguments.APP, metavar="SLUG", help="the app, e.g. shop")
        parser.add_argument(
            "dest", type=arguments.REGION, metavar="DEST", help="the region to move it to, e.g. eu-west-1"
        )
        parser.add_argument(
            "--strategy",
            default="snapshot",
            metavar="snapshot|live|auto",
            help="snapshot (default), live, or auto: live if it can be",
        )
        parser.add_argument(
            "--reason", default="", metavar="TEXT", help="why; needed, and shown to everybody who looks at the move"
        )
        parser.add_argument("--ticket", default="", metavar="URL", help="where more about it stands")
        parser.add_argument(
            "--not-before", metavar="T", help="start time, ISO 8601 with zone, e.g. 2030-01-31T02:00+01:00"
        )
        parser.add_argument(
            "--block-budget", type=int, metavar="SECONDS", help="abort when writes are blocked for longer than that"
        )
        parser.add_argument(
            "--rehearse",
            action="store_true",
            help="do on the real data all that comes before the block, compare, time and undo it; nothing is blocked",
        )
        parser.add_argument("--watch", action="store_true", help="follow the move to its end; exit 1 unless completed")
        parser.add_argument("--dry-run", action="store_true", help="print the plan and the preflight, change nothing")

    def run(self, **options: Any) -> None:
        if options["dry_run"]:
            self._dry_run(options)
            return
        move = actions.request_move(
            app_slug=options["slug"],
            dest_slug=options["dest"],
            strategy=options["strategy"],
            reason=options["reason"],
            ticket_url=options["ticket"],
            not_before=_time(options["not_before"]),
            block_budget_seconds=options["block_budget"],
            rehearse=options["rehearse"],
            acting_user=self.user,
        )
        if options["watch"]:
            move = watch(move.pk, plain=self.as_json)
        lines = (f"migration_id {move.pk}", f"status {move.status}", waits_for(move))
        self.answer({"migration_id": str(move.pk), "status": move.status}, "\n".join(filter(None, lines)))
        if options["watch"] and move.status != Status.COMPLETED:
            sys.exit(EXIT_FAILED)

    def _dry_run(self, options: dict[str, Any]) -> None:
        plan = preview.preview(
            app_slug=options["slug"],
            dest_slug=options["dest"],
            strategy=options["strategy"],
            rehearse=options["rehearse"],
            acting_user=self.user,
        )
        self.answer(plan, "\n".join([*_plan_lines(plan), "", *_finding_lines(plan["preflight"])]))
        if not plan["ok"]:
            sys.exit(EXIT_FAILED)


def _plan_lines(plan: dict[str, Any]) -> list[str]:
    lines = [f"{plan['app_id']}: {plan['source_region']} → {plan['dest_region']}, {plan['strategy']}"]
    lines += [plan["strategy_reason"]] if plan["strategy_reason"] else []
    lines.append("")
    for number, step in enumerate(plan["steps"], 1):
        if step["skip"]:
            lines += [f"{number:>2} {step['step']}", f"     Skipped: {step['skip']}"]
            continue
        expected = [size(step["bytes"])] if step["bytes"] is not None else []
        expected += [f"about {span(step['seconds'])}"] if step["seconds"] is not None else []
        lines.append(f"{number:>2} {step['step']:<32} {' in '.join(expected)}".rstrip())
        lines.append(f"     {step['what'][:1].upper()}{step['what'][1:]}")
        lines += [f"     Changes: {step['changes']}"] if step["changes"] else []
        lines += ["     ---- the point of no return ----"] if step["pivot"] else []
    return [*lines, "", estimates.in_words(plan["estimate"])]


def _finding_lines(findings: list[dict[str, Any]]) -> list[str]:
    """The worst first."""
    lines = []
    for outcome, title in (("fail", "Forbids the move"), ("warn", "To be known before"), ("pass", "In order")):
        found = [finding for finding in findings if finding["outcome"] == outcome]
        lines += [f"{title} ({outcome}): {len(found)}"] if found else []
        for finding in found:
            said = " ".join(filter(None, (finding["found"], finding["why"], finding["remedy"])))
            lines.append(f"  {finding['id']} {finding['check']}{': ' + said if said else ''}")
    return lines


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or timezone.is_naive(moment):
        raise InvalidInput(
            f"--not-before {text} is not a time with a zone.",
            hint="Write it as 2030-01-31T02:00+01:00.",
            code="invalid_time",
        )
    return moment
