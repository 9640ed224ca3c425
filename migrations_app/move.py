"""What a step is handed: the move it works for, and the ways to say what it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Unpack

from django.conf import settings

from migrations_app.dataplane import blobs
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.runtime import Host
from migrations_app.models import App, AppMigration, Region
from migrations_app.progress import Details
from migrations_app.states import COPIES_LIVE, Kind


class Move(ABC):
    """One move under way, seen from a step. The engine implements the writing parts (engine/journal.py)."""

    row: AppMigration

    @abstractmethod
    def act(self, text: str) -> None:
        """Put a line on the step's log: what was done to what, with which result. Never a secret."""

    @abstractmethod
    def check(self) -> None:
        """Raise when the runner has to let go of the move; cheap, called several times a second."""

    @abstractmethod
    def remember(self, **facts: Any) -> None:
        """Keep facts with the move, at once and for every later runner. Never a secret."""

    @abstractmethod
    def progress(self, done: int, total: int, unit: str, **details: Unpack[Details]) -> None:
        """How far the step is, in `bytes`, `rows` or whatever it counts; written about once a second.

        Another unit, or less done than before, begins a new count. Rate and time left follow from what is told.
        """

    @abstractmethod
    def stamp(self, field: str) -> None:
        """Set one of the move's times to now, by the database's clock, unless it is set."""

    @abstractmethod
    def keep_report(self, report: dict[str, Any]) -> None:
        """Keep the comparison of both sides with the move."""

    @abstractmethod
    def pass_pivot(self) -> None:
        """Commit the point of no return; AbortRequested if an abort came first."""

    # -- what is moved, and between which regions -------------------------------------------------------------

    @property
    def app(self) -> App:
        return self.row.app

    @property
    def source(self) -> Region:
        return self.row.source_region

    @property
    def dest(self) -> Region:
        return self.row.dest_region

    @property
    def is_reverse(self) -> bool:
        return self.row.kind == Kind.REVERSE

    @property
    def is_live(self) -> bool:
        """Its data is copied while the app goes on writing, and a stream brings what is written meanwhile."""
        return self.row.strategy in COPIES_LIVE

    @property
    def is_streamed(self) -> bool:
        """A stream from the source keeps the destination current until the pivot."""
        return self.is_live or self.is_reverse

    @property
    def name(self) -> str:
        """Name of what the move makes in the regions."""
        return self.row.name_in_regions

    def fact(self, key: str, default: Any = None) -> Any:
        return self.row.fact(key, default)

    @property
    def source_db(self) -> Cluster:
        return cluster(self.source, self.app.database)

    @property
    def dest_db(self) -> Cluster:
        return cluster(self.dest, self.app.database)

    @property
    def work_folder(self) -> Path:
        return settings.MOVES_WORK_DIR / str(self.row.id)

    @property
    def dump_folder(self) -> Path:
        return self.work_folder / "dump"


def cluster(region: Region, database: str) -> Cluster:
    return Cluster(
        region=region.slug, conninfo=region.database, dbname=database, from_regions=region.address_for_regions
    )


def bucket(region: Region, app: App) -> str:
    """rclone path of the app's bucket in `region`."""
    return blobs.join(region.blobs, app.blobs)


def host(region: Region) -> Host:
    return Host(url=region.runtime_url, path=region.runtime_path)


def health_url(region: Region, app: App) -> str:
    return f"http://{app.upstream_in(region)}{app.health_path}"
