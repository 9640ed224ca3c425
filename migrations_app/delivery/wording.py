"""What happened, in one sentence, and what is safe to do now: for people who read it in a chat or a mail."""

from __future__ import annotations

from migrations_app.models import AppMigration, AuditEvent
from migrations_app.states import Kind, ReplicaState, Status

_LONGEST_REASON = 300

_HAPPENED: dict[str, str] = {
    Status.AWAITING_APPROVAL: "waits for approval",
    Status.QUEUED: "is queued",
    Status.RUNNING: "is running",
    Status.HELD: "is held: somebody has to decide how it goes on",
    Status.ABORTING: "is being undone",
    Status.COMPLETED: "is completed",
    Status.ABORTED: "is aborted",
    Status.FAILED: "has failed",
    ReplicaState.RETAINED: "is kept, as the way back",
    ReplicaState.TEARING_DOWN: "is being torn down",
    ReplicaState.TORN_DOWN: "is torn down",
    ReplicaState.REVERSED: "serves again",
    "request_abort": "may be aborted: that waits for approval",
    "request_retry": "may be tried again: that waits for approval",
    "request_teardown": "may lose its way back: a teardown waits for approval",
    "reject": "goes on: what was asked for about it was rejected",
    "withdraw": "goes on: what was asked for about it was withdrawn",
    "expire": "goes on: nobody decided in time on what was asked for about it",
    "void_request": "goes on: what was asked for about it has lost its point",
    "pass_pivot": "is past the point of no return",
    "keep": "has a new day until which its replica is kept",
    "comment": "has a comment",
}
"""By the status that something came to; without one, by the verb."""


def headline(event: AuditEvent, move: AppMigration) -> str:
    """What it is about and what happened: `Move of shop from us-east-1 to eu-west-1 is held: …`, in one line."""
    if event.to_status in ReplicaState:
        subject = f"The replica of {move.app} in {move.source_region}"
    else:
        subject = f"{Kind(move.kind).label} of {move.app} from {move.source_region} to {move.dest_region}"
    said = event.to_status or event.verb
    return one_line(f"{subject} {_HAPPENED.get(said, said)}")


def sentence(event: AuditEvent, move: AppMigration) -> str:
    """The headline with who did it, and why."""
    who = event.actor_name or "the portal"
    why = one_line(event.reason)
    if len(why) > _LONGEST_REASON:
        why = f"{why[:_LONGEST_REASON]}…"
    return f"{headline(event, move)} ({one_line(event.verb)}, by {one_line(who)}){f': {why}' if why else '.'}"


def what_is_safe(event: AuditEvent, move: AppMigration) -> str:
    """What may be done about it, as it was when it happened; and if the move has gone on since, how it stands."""
    advice = _ADVICE_ON_REPLICAS.get(event.to_status) or _advice(event, move)
    if event.to_status in Status and event.to_status != move.status:
        advice = f"Meanwhile it is {Status(move.status).label.lower()}. {advice}"
    return advice.format(app=move.app, source=move.source_region, dest=move.dest_region)


_ADVICE_ON_REPLICAS: dict[str, str] = {
    ReplicaState.RETAINED: "{app} is served from {dest}. It can be reversed until somebody tears the replica down.",
    ReplicaState.TEARING_DOWN: "There is no way back to {source} any more. {app} goes on in {dest}.",
    ReplicaState.TORN_DOWN: "There is nothing to do. {app} goes on in {dest}.",
    ReplicaState.REVERSED: "There is nothing to do. {app} is served from {source}.",
}


def _advice(event: AuditEvent, move: AppMigration) -> str:
    is_past_pivot = bool(move.pivot_at and move.pivot_at <= event.at)
    if event.to_status == Status.HELD:
        return _advice_on_held(move, is_past_pivot=is_past_pivot)
    if event.to_status == Status.COMPLETED and move.kind == Kind.REHEARSAL:
        return "{app} stays in {source}; nothing of the rehearsal is left in {dest}."
    if event.to_status == Status.FAILED and is_past_pivot:
        return "{app} was served from {dest}; a reverse takes over and brings it back to {source}."
    if is_past_pivot and event.to_status != Status.COMPLETED:
        return "{app} is served from {dest}. There is no abort any more; once it is completed it can be reversed."
    advice: dict[str, str] = {
        Status.AWAITING_APPROVAL: "Nothing begins until somebody else approves it. It can be rejected.",
        Status.QUEUED: "Nothing has begun. It can be aborted; nothing is to be undone then.",
        Status.ABORTING: "There is nothing to do: everything is undone by itself, and {app} stays in {source}.",
        Status.COMPLETED: "{app} is served from {dest}. It can be reversed until somebody tears the replica down.",
        Status.ABORTED: "{app} stays in {source}. To move it after all, request it again.",
        Status.FAILED: "{app} stays in {source}. See why it failed before it is requested again.",
    }
    return advice.get(event.to_status, "Until its point of no return it can be aborted, and everything is undone.")


def _advice_on_held(move: AppMigration, *, is_past_pivot: bool) -> str:
    writes = ""
    if move.writes_blocked_at and not move.writes_unblocked_at:
        writes = " Its writes are blocked."
    if is_past_pivot:
        return "{app} is served from {dest}." + writes + " Safe: retry it, or reverse it."
    if move.ends_as:
        return "{app} is served from {source}." + writes + " Safe: retry it, which goes on undoing it."
    return "{app} is served from {source}." + writes + " Safe: retry it, or abort it, which undoes everything."


def one_line(text: str) -> str:
    """Without line breaks and other control characters: a header or a chat message has none."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
