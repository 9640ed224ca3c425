"""Real regions, and small apps in them, for the tests of moves."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg import sql
from whitenoise.middleware import WhiteNoiseMiddleware

from migrations_app import actions
from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.dataplane.database import tripwire
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.edge_route import Route
from migrations_app.dataplane.process import no_check
from migrations_app.engine.executor import run_move
from migrations_app.engine.teardown import run_teardown
from migrations_app.errors import PermanentError
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.move import Move, cluster, host
from migrations_app.states import Strategy
from tests.guestbook import GuestBook, deployed

SCHEMA = """
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE event (at timestamptz NOT NULL DEFAULT now(), what text);
CREATE SEQUENCE ticket;
CREATE UNLOGGED TABLE scratch (n int);
CREATE MATERIALIZED VIEW item_count AS SELECT count(*) AS n FROM item;
INSERT INTO item (name) SELECT 'item ' || n FROM generate_series(1, 500) n;
INSERT INTO event (what) VALUES ('began');
INSERT INTO scratch VALUES (1);
SELECT nextval('ticket');
SELECT lo_from_bytea(0, 'a large object');
"""


hypothesis.settings.register_profile("portal", deadline=None)  # time says nothing here
hypothesis.settings.load_profile("portal")


def pytest_collection_finish() -> None:
    """What is there by now stays to the end. Not to go through it again and again saves a tenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_quickly() -> Iterator[None]:
    """Between tests Django truncates every table, which takes PostgreSQL longer than to delete the few rows there are,
    and makes content types and permissions anew: they stay. The audit trail refuses both, as it should."""
    kept = {ContentType._meta.db_table, Permission._meta.db_table}

    def sql_flush(self: DatabaseOperations, style: object, tables: list[str], **options: object) -> list[str]:
        switch = f"ALTER TABLE {AuditEvent._meta.db_table} {{}} TRIGGER USER"
        emptied = [f'DELETE FROM "{table}"' for table in tables if table not in kept]
        return [switch.format("DISABLE"), *emptied, "SET CONSTRAINTS ALL IMMEDIATE", switch.format("ENABLE")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **kwargs: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_static_files_are_looked_for() -> Iterator[None]:
    """Each of Django's test clients would read through all of them. Browsers have a server of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files", lambda self, root, prefix=None: None)
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", lambda self: None)
        yield


@pytest.fixture(autouse=True)
def _nobody_else_is_asked(settings: LazySettings) -> None:
    """Moves of tests that are not about approval begin at once; those that are set the policy themselves."""
    settings.MOVES_FOUR_EYES = frozenset()


@pytest.fixture(autouse=True)
def _the_overview_is_never_old(settings: LazySettings) -> None:
    settings.MOVES_OVERVIEW_SECONDS = 0


@pytest.fixture
def regions(transactional_db: None) -> dict[str, Region]:
    """The sandbox's three regions, on the books."""
    from portal.sandbox.provision import seed_regions

    seed_regions()
    return {region.slug: region for region in Region.objects.all()}


@pytest.fixture
def us(regions: dict[str, Region]) -> Region:
    return regions["us-east-1"]


@pytest.fixture
def eu(regions: dict[str, Region]) -> Region:
    return regions["eu-west-1"]


@dataclass
class Shop:
    """An app that is only a database, owned by a login role of the same name."""

    app: App
    password: str

    def cluster(self, region: Region) -> Cluster:
        return cluster(region, self.app.database)

    def sql(self, region: Region, statement: str, *params: Any) -> list[Any]:
        """Run a statement as the portal's role, whatever fence is up."""
        with self.cluster(region).connect() as connection:
            connection.execute("SET search_path = public; SET session_replication_role = origin")
            cursor = connection.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def connect(self, region: Region) -> psycopg.Connection[Any]:
        """A session of the app itself."""
        return psycopg.connect(
            self.cluster(region).target, user=self.app.database, password=self.password, autocommit=True
        )


@pytest.fixture
def make_shop(regions: dict[str, Region]) -> Iterator[Callable[..., Shop]]:
    made: list[str] = []

    def make(region: str = "us-east-1", schema: str = SCHEMA) -> Shop:
        name, password = f"shop_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
        made.append(name)
        at = cluster(regions[region], name)
        with at.admin() as admin:
            owner = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(password)))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(owner, owner))
        app = App.objects.create(slug=name.replace("_", "-"), region=regions[region], database=name)
        shop = Shop(app=app, password=password)
        with shop.connect(regions[region]) as connection:
            connection.execute(schema)
        return shop

    yield make
    for region in regions.values():
        for name in made:
            wipe(cluster(region, name))


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """One in us-east-1."""
    return make_shop()


@pytest.fixture
def guestbook(regions: dict[str, Region], tmp_path: Path) -> Iterator[GuestBook]:
    with deployed(tmp_path) as book:
        yield book
        for region in regions.values():
            if any(Path(region.runtime_path).glob(f"{book.name}*")):
                runtime.remove(host(region), book.name)
            blobs.purge(blobs.join(region.blobs, book.name))
            wipe(cluster(region, book.name))
        for admin_url in settings.EDGE_ADMIN_URLS:
            edge.remove(admin_url, book.name)


@pytest.fixture
def app(regions: dict[str, Region], guestbook: GuestBook) -> App:
    """On the books, and served by the edge."""
    name = guestbook.name
    app = App.objects.create(
        slug=name,
        region=regions["us-east-1"],
        database=name,
        blobs=name,
        program=name,
        hostname=f"{name}.localhost",
        port=guestbook.port,
    )
    for admin_url in settings.EDGE_ADMIN_URLS:
        edge.apply(admin_url, name, Route(app.hostname, app.upstream_in(app.region), fenced=False))
    return app


def wipe(at: Cluster) -> None:
    """Remove a database, its owner, and every slot, subscription and stream role that a move left there."""
    name = sql.Identifier(at.dbname)
    if at.exists():
        with at.connect() as connection:
            for (subscription,) in connection.execute(
                "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
                "WHERE datname = current_database()"
            ).fetchall():
                for statement in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                    what = sql.SQL("SUBSCRIPTION {}").format(sql.Identifier(subscription))
                    connection.execute(sql.SQL(statement).format(what))
    with at.admin() as admin:
        for (slot,) in admin.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [at.dbname]
        ).fetchall():
            tripwire.drop_slot(at, slot, check=no_check)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        streams = admin.execute(
            "SELECT rolname FROM pg_roles r WHERE rolname ~ '^portal_[0-9a-f]{16}$' "
            "AND NOT EXISTS (SELECT 1 FROM pg_shdepend WHERE refobjid = r.oid)"
        ).fetchall()
        for role in [*(row[0] for row in streams), at.dbname]:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def carry(move: AppMigration) -> AppMigration:
    """Work on the move in this process, as a worker would, until it ends, waits or is held."""
    run_move(move.pk)
    return AppMigration.objects.select_related("app__region", "source_region", "dest_region").get(pk=move.pk)


def moved(app: App, dest: str, *, strategy: str = Strategy.SNAPSHOT) -> AppMigration:
    """A move of the app, carried to its end."""
    return carry(
        actions.request_move(app_slug=app.slug, dest_slug=dest, acting_user=None, reason="a test", strategy=strategy)
    )


def reversed_(move: AppMigration) -> AppMigration:
    """The reverse of a move, carried to its end."""
    return carry(actions.reverse(move_id=move.pk, acting_user=None, reason="a test"))


def torn_down(move: AppMigration) -> SourceReplica:
    """The replica of a move, torn down."""
    replica = actions.teardown(move_id=move.pk, acting_user=None, reason="a test", confirm=move.app.slug)
    run_teardown(replica.pk)
    replica.refresh_from_db()
    return replica


def traces(shop: Shop, region: Region) -> list[object]:
    """What moves leave in a cluster besides the app itself."""
    with shop.cluster(region).admin() as admin:
        return admin.execute(
            "SELECT slot_name::text FROM pg_replication_slots WHERE database = %(db)s "
            "UNION ALL SELECT rolname FROM pg_roles WHERE rolname ~ '^portal_' "
            "UNION ALL SELECT subname FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid "
            "WHERE datname = %(db)s",
            {"db": shop.app.database},
        ).fetchall()


def before(monkeypatch: pytest.MonkeyPatch, step: object, act: Callable[[Move], object]) -> None:
    """Let `act` happen just before the step does its work."""
    do = step.do  # type: ignore[attr-defined]

    def act_then_do(move: Move) -> None:
        act(move)
        do(move)

    monkeypatch.setattr(step, "do", act_then_do)


def fail_for_good(*args: object, **kwargs: object) -> float:
    raise PermanentError("the cause")
