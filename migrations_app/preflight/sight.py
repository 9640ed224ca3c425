"""What the checks look at: everything of a move that they need, read from the portal's rows beforehand.

Checks run in threads, where the portal's own database is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.database.settings import FLAG
from migrations_app.dataplane.runtime import Host
from migrations_app.models import Region
from migrations_app.move import Move, bucket, health_url, host
from migrations_app.preflight.unwritten import Unwritten

_CONNECT_SECONDS = 5
_LIMITS = {"statement_timeout": "5s", "lock_timeout": "1s"}


class LookingOnly(Cluster):
    """Its sessions cannot write, and give up soon."""

    def session_options(self, *, wording: bool = True, fenced: bool = False) -> str:
        return f"{super().session_options(wording=wording, fenced=True)} -c {FLAG}=on"

    def safe_settings(self) -> dict[str, str]:
        return {**super().safe_settings(), **_LIMITS}

    def _line_to(self, dbname: str) -> str:
        # By its line a session is kept and used again: never one of these for another.
        return make_conninfo(
            super()._line_to(dbname), connect_timeout=_CONNECT_SECONDS, fallback_application_name="looking-only"
        )


@dataclass(frozen=True)
class Sight:
    """`source` and `dest` are the regions' names. Hosts are None, other addresses empty, where there is none.

    `made`: what an earlier try of the same move has made at the destination, by its fact's name.
    """

    source: str
    dest: str
    source_db: Cluster
    dest_db: Cluster
    is_live: bool
    is_reverse: bool
    on_worker: bool
    made: dict[str, object]
    app: str
    bucket: str
    source_bucket: str
    dest_bucket: str
    program: str
    source_host: Host | None
    dest_host: Host | None
    hostname: str
    upstream: str
    health_url: str

    @property
    def database(self) -> str:
        return self.source_db.dbname

    @property
    def both(self) -> tuple[Cluster, Cluster]:
        return self.source_db, self.dest_db


def sight_of(move: Move) -> Sight:
    app, source, dest = move.app, move.source, move.dest
    return Sight(
        source=source.slug,
        dest=dest.slug,
        source_db=_looking_only(move.source_db),
        dest_db=_looking_only(move.dest_db),
        is_live=move.is_live,
        is_reverse=move.is_reverse,
        on_worker=not isinstance(move, Unwritten),
        made={key: move.fact(key) for key in ("database_reserved", "roles_made", "bucket_made", "program_reserved")},
        app=app.slug,
        bucket=app.blobs,
        source_bucket=bucket(source, app) if app.blobs and source.blobs else "",
        dest_bucket=bucket(dest, app) if app.blobs and dest.blobs else "",
        program=app.program,
        source_host=_host(source),
        dest_host=_host(dest),
        hostname=app.hostname if app.is_routed else "",
        upstream=app.upstream_in(source) if app.is_routed else "",
        health_url=health_url(source, app) if app.program else "",
    )


def _looking_only(cluster: Cluster) -> LookingOnly:
    return LookingOnly(**vars(cluster))


def _host(region: Region) -> Host | None:
    return host(region) if region.runtime_url and region.runtime_path and region.app_host else None
