"""copying_runtime: start the app's release at the destination.

What changes: the release and its process definition, rewritten for the destination, and the running process.
Done when: its health check is green.
Undo: stop and remove it. In a reverse: stop it, its files belong to the replica.
How long: copying the release, then MOVES_HEALTH_SECONDS for the health check.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app.dataplane import runtime
from migrations_app.errors import PermanentError
from migrations_app.models import Region
from migrations_app.move import Move, health_url, host


def skip(move: Move) -> str:
    return "" if move.app.program else "The app has no runtime."


def do(move: Move) -> None:
    program, source, dest = move.app.program, host(move.source), host(move.dest)
    if not move.is_reverse and not move.fact("program_reserved"):
        if runtime.exists(dest, program):
            raise PermanentError(
                f"{move.dest} already has a program {program}.",
                hint="Remove it there, then request the move again.",
                code="program_exists",
            )
        move.remember(program_reserved=True)
    runtime.deploy(program, source, dest, check=move.check)
    move.act(f"Deployed the release of {program} in {move.dest}, its environment rewritten.")
    start_program(move, move.dest)


def start_program(move: Move, region: Region) -> None:
    """Start the app's program in `region` and wait until it is healthy there."""
    runtime.start(host(region), move.app.program, check=move.check)
    url = health_url(region, move.app)
    runtime.wait_healthy(url, deadline_seconds=settings.MOVES_HEALTH_SECONDS, check=move.check)
    move.act(f"{move.app.program} runs in {region}; {url} is green.")


def undo(move: Move) -> None:
    program, dest = move.app.program, host(move.dest)
    if move.is_reverse:
        runtime.stop(dest, program, wait=True, check=move.check)
        move.act(f"Stopped {program} in {move.dest}.")
    elif move.fact("program_reserved"):
        runtime.remove(dest, program, check=move.check)
        move.act(f"Stopped and removed {program} in {move.dest}.")
