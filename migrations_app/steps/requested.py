"""requested: wait for a free slot in both regions, and look once more whether anything forbids the move.

What changes: nothing in the regions; the move takes its slot.
Done when: no preflight check fails and both regions have a slot free.
Undo: nothing to undo.
How long: seconds; as long as it takes while the regions are busy.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from migrations_app.errors import Deferred, PermanentError
from migrations_app.models import App, AppMigration, Region
from migrations_app.move import Move
from migrations_app.preflight import preflight
from migrations_app.states import ACTIVE, REPLICA_OPEN

_LOOK_AGAIN_SECONDS = 5


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    _take_slot(move)
    findings = preflight(move)
    for finding in findings:
        if finding.outcome != "pass":
            move.act(f"{finding.outcome} {finding.check}: {finding.found}")
    failed = [finding for finding in findings if finding.outcome == "fail"]
    if failed:
        raise PermanentError(
            " ".join(finding.found for finding in failed),
            hint=" ".join(finding.remedy for finding in failed),
            code="preflight_failed",
        )
    move.act(f"Preflight: {len(findings)} checks, nothing forbids the move.")


def undo(move: Move) -> None:
    """Nothing was changed."""


def _take_slot(move: Move) -> None:
    with transaction.atomic():
        regions = Region.objects.select_for_update().filter(pk__in=[move.source.pk, move.dest.pk]).order_by("pk")
        for region in list(regions):
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
        taken_by = others.filter(**{field: value}).first() if value else None
        if taken_by:
            raise PermanentError(
                f"{field} {value} is taken in {dest} by {taken_by}.",
                hint="Two apps of one region need different ones; change it, then request the move again.",
                code="name_taken",
            )
