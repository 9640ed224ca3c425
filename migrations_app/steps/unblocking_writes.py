"""unblocking_writes: the destination takes writes.

What changes: the fence is lifted in the destination's database, then at every edge.
Done when: an ordinary session writes, and no edge answers an unsafe method with app_migrating.
Undo: none; it comes after the pivot.
How long: an instant, and the grace for reads that are under way.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from migrations_app.dataplane import plain_http
from migrations_app.dataplane.database import fence
from migrations_app.errors import TransientError
from migrations_app.move import Move
from migrations_app.steps import routing


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    dest = move.dest_db
    fence.lower_flag(dest, move.fact("source")["flag"])
    ended = fence.end_read_only_sessions(dest, grace_seconds=settings.MOVES_WRITER_GRACE_SECONDS, check=move.check)
    fence.prove_writable(dest, move.fact("source")["flag"])
    move.act(f"{move.dest} takes writes: proven by one; ended {ended} sessions that were still read-only.")
    routing.route(move, move.dest, fenced=False)
    if move.app.is_routed:
        for public_url in settings.EDGE_PUBLIC_URLS:
            _prove_unfenced(move, public_url)
    move.stamp("writes_unblocked_at")


def _prove_unfenced(move: Move, public_url: str) -> None:
    """Send an unsafe method that no app takes for a write: whatever answers, it may not be the edge's own refusal."""
    try:
        answer = plain_http.request("POST", public_url + move.app.health_path, headers={"Host": move.app.hostname})
    except plain_http.NoAnswer as error:
        raise TransientError(
            f"Edge {urlsplit(public_url).netloc} does not answer.",
            hint="See whether it runs, and whether EDGE_PUBLIC_URLS names it; then retry.",
            code="edge_away",
        ) from error
    if answer.status == 503 and b"app_migrating" in answer.body:
        raise TransientError(
            f"Edge {urlsplit(public_url).netloc} still refuses writes.",
            hint="See whether EDGE_ADMIN_URLS and EDGE_PUBLIC_URLS name the same edges in the same order; then retry.",
            code="edge_still_fenced",
        )
    move.act(f"Edge {urlsplit(public_url).netloc} lets writes through (it answered {answer.status}).")


def undo(move: Move) -> None:
    """Comes after the pivot: there is only forward."""
