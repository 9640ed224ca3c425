"""What an act would bring about, in plain sentences, for whoever is about to do it or to consent to it.

Each sentence is one of: what changes and where, what is undone, what state it ends in, what cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from migrations_app import approvals
from migrations_app.engine.undoing import is_way_back_open, left_to_undo
from migrations_app.models import App, AppMigration, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.permissions import Verb
from migrations_app.states import TERMINAL, Act, Kind, Status, Step, Strategy

_ASKED_FOR = (Strategy.SNAPSHOT, Strategy.LIVE)


def consequences(verb: Verb, move: AppMigration, *, act: Act | None = None) -> list[str]:
    """Of the verb on the move as it stands now; `act` is what approve, reject and withdraw decide on."""
    if verb is Verb.APPROVE and act:
        return _OF_ACTS[act](move)
    if verb in (Verb.REJECT, Verb.WITHDRAW) and act:
        return _declining(move, act)
    if verb is Verb.KEEP:
        return _keep(move)
    return _OF_ACTS[Act(verb.value)](move)


def of_request(app: App) -> list[str]:
    """Of a move of the app, wherever to and by whichever strategy."""
    return _moving(app, app.region.slug, "the destination", [_while_copied(app, strategy) for strategy in _ASKED_FOR])


def asks_first(act: str) -> str:
    """What is to be known beforehand when policy wants a second person; empty: it is done at once."""
    if not approvals.is_needed(act):
        return ""
    hours = _span(settings.MOVES_REQUEST_HOURS * 3600)
    return f"This only asks for it: nothing happens until somebody else approves it, within {hours}."


def _while_copied(app: App, strategy: str, block_budget: float | None = None) -> str:
    at_most = _span(settings.MOVES_BLOCK_BUDGET_SECONDS[strategy] if block_budget is None else block_budget)
    if strategy == Strategy.LIVE:
        return (
            f"By the live plan {app} goes on writing while its data is copied. For the switch it can be read but takes "
            f"no writes, for {at_most} at most: past that the move aborts itself."
        )
    return (
        f"By snapshot, while its data is copied, {app} can be read but takes no writes, for {at_most} at most: past "
        "that the move aborts itself."
    )


def _parts(app: App) -> str:
    parts = [
        "its database",
        *(["its blobs"] if app.blobs else []),
        *(["its program"] if app.program else []),
        *(["its traffic"] if app.is_routed else []),
    ]
    return _listed(parts)


def _rehearsing(app: App, source: str, dest: str) -> list[str]:
    return [
        f"{app} is copied from {source} to {dest} as a move would: its database, its blobs, its program; not its "
        "traffic. Both sides are compared, and all of it is timed.",
        f"{app} goes on reading and writing in {source} all the while; nothing is blocked.",
        f"Then what was made in {dest} is removed again, and the rehearsal ends as completed. Its times are shown to "
        "whoever approves the move.",
    ]


def _moving(app: App, source: str, dest: str, while_copied: list[str]) -> list[str]:
    return [
        f"{app} moves from {source} to {dest}: {_parts(app)}.",
        *while_copied,
        f"Until the switch it can be aborted, and everything is undone: {app} goes on in {source} as before.",
        f"After the switch there is only forward. {source} keeps a current replica, so that a reverse can bring {app} "
        "back.",
    ]


_MET_BY_A_REVERSE = {
    AlarmCode.REGION_AWAY: "One of the two regions was away when it was looked at last: while it is, the reverse "
    "cannot begin, and nothing changes.",
    AlarmCode.SLOT_LOST: "WAL that the replica needs is about to be removed: should that come first, the reverse "
    "ends at its first step, before writes are blocked.",
    AlarmCode.REPLICA_STOPPED: "The replica gets no changes: unless that is mended, the reverse ends at its first "
    "step, before writes are blocked.",
    AlarmCode.REPLICA_LAGS: "The replica lags: the reverse waits for it first, while writes go on.",
}


def met_by_a_reverse(move: AppMigration) -> str:
    """What a reverse of the move would come upon, as its replica was seen last; what forbids one the rules say."""
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    if replica is None or not replica.is_troubled or not replica.problem_code:
        return ""
    return _MET_BY_A_REVERSE.get(AlarmCode(replica.problem_code), "")


def blocked_by_a_reverse() -> str:
    """For how long at most, before it aborts itself."""
    return _span(settings.MOVES_BLOCK_BUDGET_SECONDS[Strategy.REVERSE])


def _reversing(app: App, source: str, dest: str) -> list[str]:
    """Back from `source`, where the app is now, to `dest`, where its replica is. Nothing of how that is: it changes by
    itself, and whoever sends the form is bound to these sentences."""
    return [
        f"{app} goes back from {source} to {dest}, by a move of its own.",
        f"{dest} has a replica: only what has not arrived there yet is copied.",
        f"For the switch {app} can be read but takes no writes, for {blocked_by_a_reverse()} at most: past "
        f"that the reverse aborts itself, and {app} goes on in {source}.",
        f"It waits for no maintenance window. Afterwards {source} keeps the replica.",
    ]


def _begin(move: AppMigration) -> list[str]:
    """Of a move or reverse that waits to begin."""
    source, dest = move.source_region.slug, move.dest_region.slug
    if move.kind == Kind.REVERSE:
        return _reversing(move.app, source, dest)
    if move.kind == Kind.REHEARSAL:
        return _rehearsing(move.app, source, dest)
    return _moving(move.app, source, dest, [_while_copied(move.app, move.strategy, move.block_budget)])


def _reverse(move: AppMigration) -> list[str]:
    """Of a reverse of a move that is over or held past its pivot, or of a reverse that waits to begin."""
    if move.status == Status.HELD and move.pivot_at:
        return _going_back(move)
    if move.status not in TERMINAL:
        return _begin(move)
    return _reversing(move.app, move.dest_region.slug, move.source_region.slug)


def _going_back(move: AppMigration) -> list[str]:
    app, source, dest = move.app, move.source_region, move.dest_region
    if is_way_back_open(move):
        return [
            f"This move ends as failed, and a reverse takes over at once: {source} has all that {dest} has taken.",
            *_reversing(app, dest.slug, source.slug),
        ]
    return [
        f"{dest} has not taken any write, so {source} has everything: {app} takes writes again there.",
        "The move is aborting meanwhile and ends as aborted.",
        *_undone(move),
        "Should somebody have stepped over the fence and written all the same, it is held again and says so.",
    ]


def _undone(move: AppMigration) -> list[str]:
    return [f"{step} is undone: {_UNDOING[step](move)}." for step in left_to_undo(move) if step in _UNDOING]


def _abort(move: AppMigration) -> list[str]:
    app, source = move.app, move.source_region
    once = "An abort is not taken back: to move after all, request it again."
    if move.status in (Status.AWAITING_APPROVAL, Status.QUEUED):
        return [
            f"Nothing has begun, so nothing is undone: {app} stays in {source}.",
            "The move ends at once, as aborted.",
            once,
        ]
    return [
        f"{app} stays in {source}, and takes writes again. The move is aborting meanwhile and ends as aborted.",
        *_undone(move),
        "Should the switch come first, this is refused.",
        once,
    ]


def _retry(move: AppMigration) -> list[str]:
    served = move.dest_region if move.pivot_at else move.source_region
    if move.ends_as:
        onward = f"The undoing goes on where it stopped; the move is aborting again and ends as {move.ends_as}."
    else:
        onward = f"The move goes on with {move.current_step}, where it stopped; it is running again."
    return [
        onward,
        *_ahead(move),
        f"{move.app} is served from {served} {'meanwhile' if move.pivot_at or move.ends_as else 'until the switch'}.",
        "If what stopped it is still there, it will be held again: look at the last error first.",
    ]


def _ahead(move: AppMigration) -> list[str]:
    """What a retry before the switch goes on to: it does not stop there to ask."""
    if move.pivot_at or move.ends_as or move.kind == Kind.REHEARSAL:
        return []
    block = "" if move.writes_blocked_at and not move.writes_unblocked_at else "blocks writes and "
    return [f"Nobody is asked again: it {block}passes the switch, after which there is only forward, and Reverse."]


def _teardown(move: AppMigration) -> list[str]:
    app, source, dest = move.app, move.source_region, move.dest_region
    dropped = [
        f"the database {app.database}",
        *([f"the bucket {app.blobs}"] if app.blobs else []),
        *([f"the program {app.program}"] if app.program else []),
    ]
    return [
        f"This cannot be undone: the way back to {source} is given up.",
        f"Dropped in {source} for good: {_listed(dropped)}, and the roles the portal made there. The dump of the move "
        "is deleted.",
        f"{app} goes on in {dest}; who uses it notices nothing.",
    ]


def _keep(move: AppMigration) -> list[str]:
    replica = move.source_replica
    return [
        f"The replica in {replica.region} stays and is kept current, and with it the way back. It costs about "
        f"${replica.estimated_monthly_cost_usd} a month.",
        f"So far it is kept until {replica.review_at:%Y-%m-%d}. On the day you name instead, an alarm asks whether it "
        "is still needed. Nothing is torn down by itself.",
    ]


def _declining(move: AppMigration, act: Act) -> list[str]:
    stays = {
        Act.MOVE: f"The move ends as aborted. Nothing has begun: {move.app} stays in {move.source_region}.",
        Act.REVERSE: f"The reverse ends as aborted. Nothing has begun: {move.app} stays in {move.source_region}.",
        Act.ABORT: "The move is not aborted and goes on.",
        Act.RETRY: "The move stays held.",
        Act.TEARDOWN: f"The replica in {move.source_region} stays, and with it the way back.",
    }
    return [stays[act], "Whoever still wants it has to ask again."]


_OF_ACTS: dict[Act, Callable[[AppMigration], list[str]]] = {
    Act.MOVE: _begin,
    Act.REVERSE: _reverse,
    Act.ABORT: _abort,
    Act.RETRY: _retry,
    Act.TEARDOWN: _teardown,
}


def _undo_of_reserving(move: AppMigration) -> str:
    if move.kind == Kind.REVERSE:
        return f"the replica in {move.dest_region} goes on being kept current"
    return f"what was made for it in {move.dest_region} is dropped"


def _undo_of_blobs(move: AppMigration) -> str:
    if move.kind == Kind.REVERSE:
        return f"the blobs in {move.dest_region} stay with the replica"
    return f"the copies in {move.dest_region} are deleted"


_UNDOING: dict[Step, Callable[[AppMigration], str]] = {
    Step.SETTING_UP_REVERSE_REPLICATION: lambda move: f"{move.dest_region} is shut to the app, and asked for writes",
    Step.FLIPPING_ROUTING: lambda move: f"{move.app} may connect in {move.source_region} again",
    Step.BLOCKING_WRITES: lambda move: f"traffic and writes come back in {move.source_region}",
    Step.COPYING_RUNTIME: lambda move: f"its program in {move.dest_region} is stopped",
    Step.COPYING_BLOBS: _undo_of_blobs,
    Step.RESTORING_DATA: lambda move: f"what was restored in {move.dest_region} is dropped",
    Step.DUMPING_DATA: lambda move: "the dump is deleted",
    Step.RESERVING_DEST: _undo_of_reserving,
}


def _span(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
