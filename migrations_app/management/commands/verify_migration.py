from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from migrations_app import permissions, queries
from migrations_app.dataplane.database import proof
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.errors import Blocker, Refused
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.models import AppMigration
from migrations_app.move import cluster
from migrations_app.permissions import Verb
from migrations_app.states import COPIES_LIVE, ReplicaState, Status
from migrations_app.verification.anytime import compare_anytime
from migrations_app.verification.report import Depth, Report


class Command(PortalCommand):
    help = (
        "Compare both sides of a move now, while the app goes on writing: where it lives, and the copy that a stream "
        "keeps current. Changes nothing."
    )
    failed = "they differ, or it failed while looking"
    examples = (
        ("Compare every row of both sides", f"verify_migration {EXAMPLE_ID}"),
        ("Compare a sample of the rows", f"verify_migration {EXAMPLE_ID} --depth sample"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=arguments.MOVE, metavar="ID", help="the move")
        parser.add_argument(
            "--depth", choices=Depth.values, help="how much of the rows is read; default: as set for all"
        )

    def run(self, **options: Any) -> None:
        move = queries.move(options["id"], viewer=self.user)
        permissions.require(self.user, Verb.VIEW, move)
        primary, replica = _sides(move)
        report = compare_anytime(
            primary,
            replica,
            stream=move.name_in_regions,
            jobs=settings.MOVES_COPY_JOBS,
            depth=Depth(options["depth"] or settings.MOVES_VERIFICATION_DEPTH),
            check=no_check,
        )
        sides = {"primary": primary.region, "replica": replica.region}
        self.answer({"migration_id": str(move.pk), **sides, **report.as_json()}, _as_text(report))
        if not report.equal:
            sys.exit(EXIT_FAILED)


def _sides(move: AppMigration) -> tuple[Cluster, Cluster]:
    """Where the app writes, and where the stream that bears the move's name brings it."""
    source, dest = (cluster(region, move.app.database) for region in (move.source_region, move.dest_region))
    kept = getattr(move, "source_replica", None)
    if move.status == Status.COMPLETED and kept and kept.state == ReplicaState.RETAINED:
        return dest, source
    if (
        move.strategy in COPIES_LIVE
        and move.status == Status.RUNNING
        and not move.pivot_at
        and proof.is_streaming(source, move.name_in_regions)
    ):
        return source, dest
    raise Refused(
        [
            Blocker(
                "no_second_side",
                f"The move {move} is {move.status} and keeps no second side that could be compared.",
                "A completed move has one until its replica is torn down or reversed.",
            )
        ]
    )


def _as_text(report: Report) -> str:
    return "\n".join(
        [
            *(f"Differs: {one.kind} {one.name}: {one.source or '-'} / {one.dest or '-'}" for one in report.differences),
            *(f"Written to all the time, not settled: {what}" for what in report.unsettled),
            f"Not carried by the stream, not compared: {', '.join(report.not_carried)}.",
            report.sentence(),
        ]
    )
