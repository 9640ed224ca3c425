"""reserving_dest: make room at the destination.

What changes: at the destination the roles, an empty database like the source's (shut to writers) and the bucket.
    In a reverse they are there; what the stream needs to be proven is laid on both sides. In the live plan also the
    publication at the source, and replica identities on tables that have none. The slot comes with the dump, for its
    snapshot cannot be handed on (docs/decisions/0014).
Done when: they exist, and are empty. In a reverse: the replica streams.
Undo: drop what this move made.
How long: seconds.
"""

from __future__ import annotations

from migrations_app.dataplane import blobs
from migrations_app.dataplane.database import creation, fence, proof, replication, roles
from migrations_app.errors import PermanentError
from migrations_app.move import Move, bucket
from migrations_app.steps import way_back, way_in


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    if "flag" not in move.fact("source", {}):  # as the app has it, before any fence: what opens it again puts this back
        flag, connect = fence.read_flag(move.source_db), fence.read_connect_grants(move.source_db)
        move.remember(source={"flag": flag, "connect": connect})
    _reserve_roles(move)
    if move.is_reverse:
        _check_replica(move)
    else:
        _reserve_database(move)
        if move.app.blobs:
            _reserve_bucket(move)
    if move.is_live:
        way_in.publish(move)
    replication.probe(move.dest_db, move.source_db, move.name)
    move.act(f"{move.source} can subscribe to {move.dest}: the way back can be set up.")


def undo(move: Move) -> None:
    way_back.ask_if_not_asked(move)
    if move.is_live:
        way_in.unpublish(move)
    replication.unpublish(move.dest_db, move.name, check=move.check)
    if move.is_reverse:
        way_back.undo_identity(move)
        proof.lift_sentinel(move.source_db, move.dest_db, stream=way_in.stream_name(move))
        move.act("Took the sentinel away; the replica goes on streaming.")
    elif move.fact("database_reserved"):
        creation.drop(move.dest_db)
        move.act(f"Dropped database {move.app.database} in {move.dest}.")
    if move.fact("bucket_made"):
        blobs.purge(bucket(move.dest, move.app), check=move.check)
        move.act(f"Removed the bucket {move.app.blobs} in {move.dest}.")
    drop_roles(move, move.fact("roles_made", []))


def drop_roles(move: Move, names: list[str]) -> None:
    """Drop roles this move made, members before groups do not matter: PostgreSQL ends memberships with the role."""
    with move.dest_db.admin() as admin:
        for name in names:
            if roles.drop(admin, name, made_just_now=True):
                move.act(f"Dropped role {name} in {move.dest}.")
            else:
                move.act(f"Kept role {name} in {move.dest}: something there needs it now.")


def _reserve_roles(move: Move) -> None:
    with move.source_db.connect() as at_source, move.dest_db.admin() as at_dest:
        needed = roles.needed_by_database(at_source)
        present = roles.existing(at_dest, [role.name for role in needed])
        made = set(move.fact("roles_made", []))
        roles.refuse_conflicts([role for role in needed if role.name not in made], present)
        made |= {role.name for role in needed} - present.keys()
        move.remember(roles_made=sorted(made))
        ours = [role for role in needed if role.name in made]
        for role in ours:
            roles.create(at_dest, role)
        for role in ours:
            roles.grant_memberships(at_dest, role)
    move.act(f"{len(needed)} roles needed, {len(ours)} made in {move.dest}, with the passwords they have.")


def _reserve_database(move: Move) -> None:
    dest = move.dest_db
    if not move.fact("database_reserved"):
        if dest.exists():
            raise PermanentError(
                f"{move.dest} already has a database {dest.dbname}.",
                hint="Drop or rename it, then request the move again.",
                code="database_exists",
            )
        move.remember(database_reserved=True)
    creation.drop(dest)
    create_empty(move)
    move.act(f"Made an empty database {dest.dbname} in {move.dest}, read-only to the app.")


def create_empty(move: Move) -> None:
    definition = creation.read(move.source_db)
    creation.create(move.dest_db, definition)
    fence.raise_flag(move.dest_db)
    creation.admit(move.dest_db, definition)


def _reserve_bucket(move: Move) -> None:
    path = bucket(move.dest, move.app)
    if move.fact("bucket_made") is None:
        there = blobs.exists(path)
        if there and blobs.totals(path, check=move.check).count:
            raise PermanentError(
                f"{move.dest} already has a bucket {move.app.blobs}, and it is not empty.",
                hint="Empty or remove it, then request the move again.",
                code="bucket_exists",
            )
        move.remember(bucket_made=not there)
    blobs.make(path)
    move.act(f"Made the bucket {move.app.blobs} in {move.dest}.")


def _check_replica(move: Move) -> None:
    stream = way_in.stream_name(move)
    if not proof.is_streaming(move.source_db, stream):
        raise PermanentError(
            f"The replica in {move.dest} does not read the stream from {move.source}.",
            hint=f"Look at the PostgreSQL log in {move.dest}; once it streams again, request the reverse again.",
            code="replica_broken",
        )
    proof.lay_sentinel(move.source_db, move.dest_db, stream)
    seconds = way_in.drain(move)
    move.act(f"The replica in {move.dest} streams from {move.source} and is {seconds:.2f} s behind.")
