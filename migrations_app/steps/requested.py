"""requested: wait until both regions let moves begin and have a slot free, then look whether anything forbids it.

What changes: nothing in the regions; the move takes its slot. The move is `queued` meanwhile.
Done when: the windows are open, both regions have a slot free, no preflight check fails, and what was approved is
what would begin now.
Undo: nothing to undo.
How long: seconds; as long as it takes while the regions are busy or their windows shut.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from migrations_app import approvals, preflight
from migrations_app.clock import database_now
from migrations_app.errors import ApprovalVoid, Deferred, PermanentError
from migrations_app.models import App, AppMigration, Region
from migrations_app.move import Move
from migrations_app.states import ACTIVE, REPLICA_OPEN, Act
from migrations_app.window import first_time_all_open

_LOOK_AGAIN_SECONDS = 5
_LOOK_AT_WINDOWS_SECONDS = 30
"""People may open a window earlier than it was to."""


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    if move.fact("slot", False):  # of an earlier try: nobody waits for a move that itself waits
        move.remember(slot=False)
    _await_opening(move)
    _take_slot(move)
    findings = preflight.refuse(move)
    _compare_with_approval(move, [vars(finding) for finding in findings])
    figures = {name: count for finding in findings for name, count in finding.figures.items()}
    if "bytes" in figures:
        move.remember(data_bytes=figures["bytes"])
    move.act(f"Preflight: {len(findings)} findings, nothing forbids the move.")


def undo(move: Move) -> None:
    """Nothing was changed."""


def _await_opening(move: Move) -> None:
    """Closed regions and maintenance windows hold a move back; a reverse brings safety and waits for no window."""
    regions = Region.objects.filter(pk__in=[move.source.pk, move.dest.pk])
    for region in regions:
        if not region.accepts_moves:
            raise Deferred(f"Waits: {region} is closed to moves.", seconds=_LOOK_AGAIN_SECONDS)
    now = database_now()
    opens = now if move.is_reverse else first_time_all_open([r.window for r in regions if r.window], now)
    if opens is None:
        raise Deferred("Waits: the windows of the two regions never meet.", seconds=_LOOK_AGAIN_SECONDS)
    if opens > now:
        windows = ", ".join(f"{region}: {region.window}" for region in regions if region.window)
        raise Deferred(
            f"Waits for the maintenance window, which opens {opens:%Y-%m-%d %H:%M} UTC ({windows}).",
            seconds=min(_LOOK_AT_WINDOWS_SECONDS, (opens - now).total_seconds()),
        )


def _compare_with_approval(move: Move, findings: list[dict[str, str]]) -> None:
    approval = approvals.given_for_start(move.row)
    if approval is None:
        return
    changed = approvals.differences(approval.subject, approvals.subject_of(move.row, Act(approval.act), findings))
    if changed:
        move.remember(slot=False)
        raise ApprovalVoid(f"Since it was approved, {changed} changed.", findings)


def _take_slot(move: Move) -> None:
    with transaction.atomic():
        both = Region.objects.filter(pk__in=[move.source.pk, move.dest.pk])
        for region in list(both.select_for_update(no_key=True).order_by("pk")):
            busy = (
                AppMigration.objects.filter(Q(source_region=region) | Q(dest_region=region), facts__slot=True)
                .filter(status__in=ACTIVE)
                .exclude(pk=move.row.pk)
                .count()
            )
            if busy >= region.concurrent_moves:
                raise Deferred(
                    f"Waits for a free slot in {region}: {busy} of {region.concurrent_moves} moves are under way.",
                    seconds=_LOOK_AGAIN_SECONDS,
                )
        _refuse_taken_names(move)
        move.remember(slot=True)


def _refuse_taken_names(move: Move) -> None:
    """Another app that lives at the destination, has a replica there or is on its way there may not have the same
    database, bucket, program or port. Both regions are locked, so of two such moves one gets here first."""
    app, dest = move.app, move.dest
    others = App.objects.exclude(pk=app.pk).filter(
        Q(region=dest)
        | Q(source_replicas__region=dest, source_replicas__state__in=REPLICA_OPEN)
        | Q(migrations__dest_region=dest, migrations__status__in=ACTIVE, migrations__facts__slot=True)
    )
    for field in ("database", "blobs", "program", "port"):
        value = getattr(app, field)
        if value and others.filter(**{field: value}).exists():
            raise PermanentError(
                f"{field} {value} is taken in {dest} by another app.",
                hint="Two apps of one region need different ones; change it, then request the move again.",
                code="name_taken",
            )
