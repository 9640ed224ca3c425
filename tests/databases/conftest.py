"""Databases built from the files in sql/, and what their clusters were before."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from psycopg import sql

from migrations_app.models import App, Region
from migrations_app.move import cluster as cluster_of
from tests.conftest import wipe
from tests.databases import snapshot

HERE = Path(__file__).parent
_LIMITS = ("statement", "lock", "transaction", "idle_session", "idle_in_transaction_session")


@dataclass
class Built:
    """A database on the books, built by `sql/<name>.sql` in us-east-1."""

    app: App
    regions: dict[str, Region]

    def at(self, region: str) -> snapshot.Place:
        return snapshot.Place(self.regions[region].database, self.app.database)

    def write(self, region: str) -> None:
        """Write as the app would, by `writes/<name>.sql`, if there is one."""
        file = HERE / "writes" / f"{self.app.database}.sql"
        if file.exists():
            run_file(self.at(region), file, dbname=self.app.database)


def run_file(place: snapshot.Place, file: Path, *, dbname: str) -> None:
    done = subprocess.run(
        [
            f"{settings.PG_BIN_DIR}/psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1",
            f"--set=db={place.dbname}", f"--dbname={place.conninfo} dbname={dbname}", f"--file={file}",
        ],
        env={**os.environ, "PGOPTIONS": " ".join(f"-c {limit}_timeout=0" for limit in _LIMITS)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def build(regions: dict[str, Region]) -> Iterator[Callable[[str], Built]]:
    """Builds a database by its file's name; afterwards each cluster has the databases and roles it had before."""
    places = {slug: snapshot.Place(region.database, "") for slug, region in regions.items()}
    before = {slug: snapshot.cluster(place) for slug, place in places.items()}
    made: list[str] = []

    def build_one(name: str) -> Built:
        made.append(name)
        file = HERE / "sql" / f"{name}.sql"
        run_file(snapshot.Place(regions["us-east-1"].database, name), file, dbname="postgres")
        app = App.objects.create(slug=name.replace("_", "-"), region=regions["us-east-1"], database=name)
        return Built(app, regions)

    yield build_one
    for slug, place in places.items():
        for name in made:
            _allow_to_drop(place, name)
            wipe(cluster_of(regions[slug], name))
        _drop_roles(place, keep=set(before[slug]["roles"]))


def _allow_to_drop(place: snapshot.Place, name: str) -> None:
    with place.connect("postgres") as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f"ALTER DATABASE {name} IS_TEMPLATE false".encode())


def _drop_roles(place: snapshot.Place, *, keep: set[str]) -> None:
    with place.connect("postgres") as connection:
        roles = {row[0].decode() for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()} - keep
        for parameter, grantee in connection.execute(
            "SELECT parname, pg_get_userbyid(grantee) FROM pg_parameter_acl, aclexplode(paracl)"
        ).fetchall():
            if grantee.decode() in roles:
                connection.execute(
                    sql.SQL("REVOKE ALL ON PARAMETER {} FROM {} CASCADE")
                    .format(sql.Identifier(*parameter.decode().split(".")), sql.Identifier(grantee.decode()))
                    .as_string(None)
                    .encode()
                )
        if roles:
            # All at once: a role that granted a membership cannot go before it.
            statement = sql.SQL("DROP ROLE {}").format(sql.SQL(", ").join(map(sql.Identifier, sorted(roles))))
            connection.execute(statement.as_string(None).encode())
