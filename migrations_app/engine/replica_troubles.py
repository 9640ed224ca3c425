"""What is wrong with a retained replica, judged from what both ends of its stream said. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from migrations_app.dataplane.database.connection import is_away
from migrations_app.dataplane.database.stream import MISSING, Applying, Sending
from migrations_app.engine.alarms import Trouble
from migrations_app.errors import StepError
from migrations_app.models import Region, SourceReplica
from migrations_app.models.alarm import AlarmCode

_NEAR = 0.8
"""Of max_slot_wal_keep_size: when so much of it is kept, that is an alarm."""


def region_trouble(region: Region, said: str) -> Trouble:
    return Trouble(
        AlarmCode.REGION_AWAY,
        f"region {region.slug}",
        f"{region.slug} cannot be watched. {said}",
        "See whether its PostgreSQL runs and whether the region's connection string is right. Until then nobody knows "
        "how its replicas are.",
        region=region,
    )


def judge(
    replica: SourceReplica, sending: Sending | StepError, applying: Applying | StepError, *, errors_before: int
) -> tuple[dict[Region, Trouble | None], list[Trouble], set[AlarmCode]]:
    """`(regions, troubles, judged)`: for each region that told or was away, what is wrong with it; what is wrong with
    the replica, the worst first; and the codes that could be judged by what was told."""
    regions: dict[Region, Trouble | None] = {}
    found: list[Trouble] = []
    judged: set[AlarmCode] = set()
    for region, said in ((replica.migration.dest_region, sending), (replica.region, applying)):
        if not isinstance(said, StepError):
            regions[region] = None
        elif is_away(said):
            regions[region] = region_trouble(region, said.reason)
        else:
            judged.add(AlarmCode.REPLICA_STOPPED)
            found.append(
                _trouble(
                    replica,
                    AlarmCode.REPLICA_STOPPED,
                    f"{_name(replica)} cannot be looked at. {said.reason}",
                    said.hint or "See whether its database is there on both sides.",
                )
            )
    if isinstance(sending, Sending):
        judged |= {AlarmCode.SLOT_LOST, AlarmCode.WAL_PILES_UP, AlarmCode.REPLICA_LAGS}
        found += _of_slot(replica, sending)
    if isinstance(applying, Applying):
        judged.add(AlarmCode.REPLICA_STOPPED)
        found += _of_subscription(replica, applying, errors_before)
    if isinstance(sending, Sending) and isinstance(applying, Applying):
        judged.add(AlarmCode.REPLICA_DRIFTED)
        found += _of_tables(replica, sending, applying)
    return regions, sorted(found, key=lambda trouble: list(AlarmCode).index(trouble.code)), judged


def _of_slot(replica: SourceReplica, sending: Sending) -> Iterator[Trouble]:
    app, here, primary = replica.app, replica.region.slug, replica.migration.dest_region.slug
    if sending.wal_status in (MISSING, "lost"):
        yield _trouble(
            replica,
            AlarmCode.SLOT_LOST,
            f"The slot of {app}'s replica is {sending.wal_status} in {primary}: the way back to {here} is gone.",
            f"Tear the replica down. To bring {app} back, move it to {here} anew.",
        )
        return
    if sending.wal_status == "unreserved":
        yield _trouble(
            replica,
            AlarmCode.SLOT_LOST,
            f"{primary} is about to remove WAL that {app}'s replica still needs: the way back to {here} is in danger.",
            f"Raise max_slot_wal_keep_size in {primary} at once, then see why the replica is behind.",
        )
    kept = sending.retained_bytes
    limit = kept + sending.room if sending.room is not None else None
    if kept > (settings.MOVES_REPLICA_WAL_BYTES if limit is None else limit * _NEAR):
        then = "its disk fills" if limit is None else f"at {_mb(limit)} the way back is lost"
        yield _trouble(
            replica,
            AlarmCode.WAL_PILES_UP,
            f"{primary} keeps {_mb(kept)} of WAL for {app}'s replica in {here}; {then}.",
            "Let the replica catch up, or tear it down: its slot goes first.",
        )
    seconds, behind = replica.lag_seconds or 0, sending.lag_bytes
    if seconds > settings.MOVES_REPLICA_LAG_SECONDS or behind > settings.MOVES_REPLICA_LAG_BYTES:
        yield _trouble(
            replica,
            AlarmCode.REPLICA_LAGS,
            f"{_name(replica)} is {_mb(behind)} and {seconds:.0f} s behind {primary}.",
            f"A reverse would wait for it. Look for locks, a slow disk or a slow line in {here}.",
        )


def _of_subscription(replica: SourceReplica, applying: Applying, errors_before: int) -> Iterator[Trouble]:
    name, here = replica.migration.name_in_regions, replica.region.slug
    log = f"The PostgreSQL log in {here} says what stops it."
    if not applying.there:
        what, hint = f"its subscription {name} is gone", "Tear the replica down: it cannot become current again."
    elif not applying.enabled:
        enable = f"ALTER SUBSCRIPTION {name} ENABLE"
        what = f"its subscription {name} is disabled"
        hint = f"In database {replica.app.database} in {here}: {enable}. Until then the primary keeps WAL for it."
    elif applying.errors > errors_before:
        what, hint = f"applying failed, {applying.errors} times in all", log
    elif not applying.running:
        what, hint = f"no worker runs for its subscription {name}", log
    else:
        return
    yield _trouble(replica, AlarmCode.REPLICA_STOPPED, f"{_name(replica)} gets no changes: {what}.", hint)


def _of_tables(replica: SourceReplica, sending: Sending, applying: Applying) -> Iterator[Trouble]:
    differing = sorted(
        table
        for table in sending.tables.keys() | applying.tables.keys()
        if sending.tables.get(table) != applying.tables.get(table)
    )
    unpublished = [table for table in sending.unpublished if table not in differing]
    here, primary = replica.region.slug, replica.migration.dest_region.slug
    said = []
    if differing:
        said.append(f"{_listed(differing)} not the same in {here} as in {primary}")
    if unpublished:
        said.append(f"{_listed(unpublished)} not in the publication")
    if applying.uncopied:
        said.append(f"{_listed(applying.uncopied)} not copied yet")
    if said:
        yield _trouble(
            replica,
            AlarmCode.REPLICA_DRIFTED,
            f"The tables of {replica.app} have changed since it moved: {'; '.join(said)}.",
            f"A reverse would be refused. Repeat the change in {here} (docs/deployment.md says how), or tear the "
            "replica down.",
        )


def _listed(tables: list[str]) -> str:
    more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""
    return f"{', '.join(tables[:3])}{more} {'is' if len(tables) == 1 else 'are'}"


def _trouble(replica: SourceReplica, code: AlarmCode, sentence: str, hint: str) -> Trouble:
    return Trouble(code, f"replica {replica.pk}", sentence, hint, region=replica.region, migration=replica.migration)


def _name(replica: SourceReplica) -> str:
    return f"The replica of {replica.app} in {replica.region.slug}"


def _mb(count: int) -> str:
    return f"{count / 10**6:,.0f} MB"
