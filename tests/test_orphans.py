"""Nothing is left over once a move has come to its end, and what is left over all the same is found and named."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.core.management import call_command
from django.db.models import F
from psycopg import sql

from migrations_app import actions, orphans
from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.dataplane.database import creation, fence, proof, replication, tripwire
from migrations_app.dataplane.edge_route import Route
from migrations_app.dataplane.process import no_check
from migrations_app.dataplane.runner import MARKER
from migrations_app.engine.lease import now
from migrations_app.engine.teardown import run_teardown
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.move import Move, cluster
from migrations_app.orphans import Orphan
from migrations_app.orphans.books import MADE
from migrations_app.orphans.looking import machine
from migrations_app.states import ReplicaState, Status
from migrations_app.steps import flipping_routing, reserving_dest
from tests.conftest import Shop, before, carry, fail_for_good, moved, reversed_, torn_down
from tests.people import person
from tests.waiting import wait_until

US, EU = "us-east-1", "eu-west-1"
Found = Callable[[], list[Orphan]]


@pytest.fixture(autouse=True)
def _own_work_folder(settings: LazySettings, tmp_path: Path) -> None:
    settings.MOVES_WORK_DIR = tmp_path / "work"
    settings.MOVES_WORK_DIR.mkdir()


@pytest.fixture
def found(regions: dict[str, Region]) -> Found:
    """What find() finds that was not there when the test began, for other tests may have left something."""
    there = {orphan.key for orphan in orphans.find().orphans}
    return lambda: [orphan for orphan in orphans.find().orphans if orphan.key not in there]


@dataclass
class Answer:
    status: int
    text: str


def command(*argv: str) -> Answer:
    out = io.StringIO()
    status = 0
    try:
        call_command("find_orphans", *argv, stdout=out, stderr=out)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return Answer(status, out.getvalue())


def follow(remedy: str) -> None:
    """Run the commands that a remedy names, as they stand there."""
    for line in remedy.split("`")[1::2]:
        if not line.startswith("supervisorctl"):
            subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=60)


def keys(found: list[Orphan]) -> set[tuple[str, str, str]]:
    return {orphan.key for orphan in found}


# -- nothing is left over ---------------------------------------------------------------------------------------------


def test_nothing_is_left_over_but_what_a_teardown_misses(
    app: App, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(app, EU)
    assert (move.status, found()) == (Status.COMPLETED, [])
    back = reversed_(move)
    assert (back.status, found()) == (Status.COMPLETED, [])

    with monkeypatch.context() as patched:
        for module, name in ((creation, "drop"), (blobs, "purge"), (runtime, "remove"), (shutil, "rmtree")):
            patched.setattr(module, name, lambda *args, **kwargs: None)
        replica = torn_down(back)
    things = {(kind, EU, app.slug) for kind in ("database", "bucket", "program")}
    assert keys(found()) == things | {("file", machine(), str(move.pk))}

    SourceReplica.objects.filter(pk=replica.pk).update(state=ReplicaState.TEARING_DOWN)
    assert run_teardown(replica.pk) == "Torn down."
    assert found() == []
    assert command("--app", app.slug) == Answer(0, "Nothing is left over.\n")


def test_after_a_teardown_nothing_is_left_over(shop: Shop, found: Found) -> None:
    assert (torn_down(moved(shop.app, EU)).state, found()) == (ReplicaState.TORN_DOWN, [])


@pytest.mark.parametrize("step", [reserving_dest, flipping_routing])
def test_after_an_abort_nothing_is_left_over(
    shop: Shop, found: Found, step: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    do = step.do  # type: ignore[attr-defined]

    def do_then_abort(move: Move) -> None:
        if step is flipping_routing:
            with monkeypatch.context() as patched:
                patched.setattr(flipping_routing, "_check_fence_held", abort)
                do(move)
        do(move)
        abort(move)

    def abort(move: Move) -> None:
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
        move.lease.abort_at = now()  # type: ignore[attr-defined]
        move.check()

    monkeypatch.setattr(step, "do", do_then_abort)
    assert (moved(shop.app, EU).status, found()) == (Status.ABORTED, [])


def test_after_a_reverse_that_failed_nothing_is_left_over(
    shop: Shop, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(shop.app, EU)
    monkeypatch.setattr(flipping_routing, "_check_fence_held", fail_for_good)
    assert (reversed_(move).status, found()) == (Status.FAILED, [])


def test_what_a_move_under_way_has_made_is_not_left_over(
    shop: Shop, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    before(monkeypatch, flipping_routing, lambda move: seen.append(found()))
    with monkeypatch.context() as patched:
        patched.setattr(proof, "prove_stream", fail_for_good)
        move = moved(shop.app, EU)
    assert (move.status, seen, found()) == (Status.HELD, [[]], [])
    actions.retry(move_id=move.pk, acting_user=None, reason="a test")
    assert (carry(move).status, found()) == (Status.COMPLETED, [])


# -- streams ----------------------------------------------------------------------------------------------------------


def test_parts_of_the_stream_of_an_unknown_move_are_found_wherever_they_are(
    shop: Shop, us: Region, found: Found
) -> None:
    name, at = f"portal_{uuid.uuid4().hex[:16]}", shop.cluster(us)
    replication._stream_role(at, name)
    replication.publish(at, name)
    replication.make_slot(at, name)
    with at.connect() as connection:
        connection.execute(
            f"CREATE SUBSCRIPTION {name} CONNECTION 'dbname={at.dbname}' PUBLICATION {name} WITH (connect = false)"
        )
    left = found()
    assert keys(left) == {(kind, US, name) for kind in ("role", "slot", "publication", "subscription")}
    for orphan in left:
        assert orphan.why.startswith("No move on the books goes by this name.")
    for orphan in sorted(left, key=lambda orphan: orphan.kind == "role"):
        follow(orphan.remedy)
    assert found() == []


def test_a_stream_belongs_to_an_open_replica_each_part_in_its_region(shop: Shop, us: Region, found: Found) -> None:
    move = moved(shop.app, EU)
    name = move.name_in_regions
    tripwire.create(shop.cluster(us), name, patience_seconds=10)
    (orphan,) = found()
    assert orphan.key == ("slot", US, name)
    assert f"move {move.pk} of {shop.app}" in orphan.why
    follow(orphan.remedy)
    assert found() == []

    SourceReplica.objects.update(state=ReplicaState.REVERSED)
    stream = {("role", EU, name), ("slot", EU, name), ("publication", EU, name), ("subscription", US, name)}
    assert keys(found()) == stream | {("database", US, shop.app.database), ("file", machine(), str(move.pk))}


# -- the app's database where it lives --------------------------------------------------------------------------------


def test_the_sentinel_is_left_over_where_the_app_lives_and_not_at_its_replica(
    shop: Shop, us: Region, eu: Region, found: Found
) -> None:
    moved(shop.app, EU)
    proof.make_sentinel(shop.cluster(us))
    assert found() == []
    proof.make_sentinel(shop.cluster(eu))
    (orphan,) = found()
    assert orphan.key == ("schema", EU, "portal_move")
    follow(orphan.remedy)
    assert found() == []


def test_a_fence_that_stays_up_where_the_app_lives_is_found(shop: Shop, eu: Region, found: Found) -> None:
    moved(shop.app, EU)
    at = shop.cluster(eu)
    fence.raise_flag(at)
    fence.shut(at, check=no_check)
    (orphan,) = found()
    assert orphan.key == ("fence", EU, shop.app.database)
    assert "read-only and only superusers may connect" in orphan.why
    follow(orphan.remedy)
    assert found() == []
    with shop.connect(eu) as session:
        session.execute("INSERT INTO item (name) VALUES ('written')")


def test_a_flag_that_the_app_had_before_is_its_own(shop: Shop, us: Region, found: Found) -> None:
    fence.raise_flag(shop.cluster(us))
    assert found() == []  # no move has ever fenced it
    assert moved(shop.app, EU).status == Status.COMPLETED
    assert found() == []


# -- what is the app's, where it does not belong ----------------------------------------------------------------------


def test_what_a_move_made_where_the_app_does_not_belong_is_found(
    shop: Shop, eu: Region, found: Found, somebody_elses: Callable[[Region, str], None]
) -> None:
    name = shop.app.database
    bucket, program = name.replace("_", "-"), "planted"
    App.objects.filter(pk=shop.app.pk).update(blobs=bucket, program=program, port=1)
    failed = AppMigration.objects.create(
        app=shop.app, source_region=shop.app.region, dest_region=eu, status=Status.FAILED
    )
    somebody_elses(eu, name)
    blobs.write_text(f"{eu.runtime_path}/{program}.conf", "[program:planted]\ncommand=true\nautostart=false\n")
    blobs.write_text(f"{eu.runtime_path}/{program}/release", "1")
    assert found() == []
    AppMigration.objects.filter(pk=failed.pk).update(facts=dict.fromkeys(MADE.values(), True))
    left = found()
    assert keys(left) == {("database", EU, name), ("bucket", EU, bucket), ("program", EU, program)}
    for orphan in left:
        follow(orphan.remedy)
    assert found() == []


def test_a_role_that_a_move_made_for_an_app_that_is_not_there_is_found(shop: Shop, eu: Region, found: Found) -> None:
    failed = AppMigration.objects.create(
        app=shop.app, source_region=shop.app.region, dest_region=eu, status=Status.FAILED
    )
    name = f"{shop.app.database}_reader"
    with shop.cluster(eu).admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    assert found() == []  # nobody knows whose it is
    AppMigration.objects.filter(pk=failed.pk).update(facts={"roles_made": [name]})
    (left,) = found()
    assert left.key == ("role", EU, name)
    follow(left.remedy)
    assert found() == []


def test_a_process_that_a_runner_left_is_found(shop: Shop, eu: Region, found: Found) -> None:
    move = AppMigration.objects.create(
        app=shop.app, source_region=shop.app.region, dest_region=eu, status=Status.RUNNING
    )
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: f"{move.pk}:1"}) as left_over:
        wait_until(lambda: str(move.pk) in Path(f"/proc/{left_over.pid}/environ").read_text())
        assert found() == []
        AppMigration.objects.filter(pk=move.pk).update(status=Status.FAILED)
        (left,) = found()
        assert left.key == ("process", machine(), str(left_over.pid))
        follow(left.remedy)
        assert left_over.wait(10) == -9
    assert found() == []


def test_what_somebody_else_has_is_never_reported(
    shop: Shop, us: Region, regions: dict[str, Region], found: Found, somebody_elses: Callable[[Region, str], None]
) -> None:
    elsewhere = regions["ap-south-1"]
    App.objects.filter(pk=shop.app.pk).update(blobs=shop.app.slug)
    somebody_elses(elsewhere, shop.app.database)
    refused = moved(shop.app, elsewhere.slug)  # the names are taken there
    assert (refused.status, found()) == (Status.FAILED, [])
    App.objects.filter(pk=shop.app.pk).update(blobs="")
    replica = torn_down(moved(shop.app, EU))
    SourceReplica.objects.filter(pk=replica.pk).update(ended_at=F("ended_at") - timedelta(minutes=1))
    somebody_elses(us, shop.app.database)  # since then
    assert found() == []


@pytest.fixture
def somebody_elses() -> Iterator[Callable[[Region, str], None]]:
    """Makes a database and a bucket that no move has to do with."""
    made = []

    def make(region: Region, name: str) -> None:
        made.append((region, name))
        with cluster(region, name).admin() as admin:
            admin.execute(f"CREATE DATABASE {name}")
        blobs.make(blobs.join(region.blobs, name.replace("_", "-")))

    yield make
    for region, name in made:
        creation.drop(cluster(region, name))
        blobs.purge(blobs.join(region.blobs, name.replace("_", "-")))


# -- routes and files -------------------------------------------------------------------------------------------------


@pytest.fixture
def routed(shop: Shop, settings: LazySettings) -> Iterator[App]:
    """An app with a host name, which nothing serves, and no route yet."""
    App.objects.filter(pk=shop.app.pk).update(hostname=f"{shop.app.slug}.localhost", port=1)
    shop.app.refresh_from_db()
    yield shop.app
    for slug in (shop.app.slug, "shop-unknown"):
        edge.remove(settings.EDGE_ADMIN_URLS[0], slug)


def _an_edge(app: App) -> tuple[str, str]:
    return settings.EDGE_ADMIN_URLS[0], app.slug


def test_routes_that_lead_astray_or_refuse_writes_are_found(routed: App, eu: Region, found: Found) -> None:
    url, slug = _an_edge(routed)
    good = Route(routed.hostname, routed.upstream_in(routed.region))
    edge.apply(url, slug, good)
    assert found() == []
    for bad, said in (
        (Route(routed.hostname, routed.upstream_in(eu)), f"leads to {routed.upstream_in(eu)}, not to {US}"),
        (Route(routed.hostname, good.upstream, fenced=True), "refuses writes"),
    ):
        edge.apply(url, slug, bad)
        (orphan,) = found()
        assert (orphan.kind, orphan.name) == ("route", f"app-{slug}")
        assert said in orphan.why
        follow(orphan.remedy)
        assert (edge.read(url, slug), found()) == (good, [])


def test_a_route_of_an_unknown_app_is_found(routed: App, found: Found) -> None:
    url, _ = _an_edge(routed)
    edge.apply(url, "shop-unknown", Route("shop-unknown.localhost", "127.0.0.1:1"))
    (orphan,) = found()
    assert (orphan.kind, orphan.name) == ("route", "app-shop-unknown")
    follow(orphan.remedy)
    assert found() == []


def test_folders_of_moves_that_have_no_use_for_them_are_found(shop: Shop, eu: Region, found: Found) -> None:
    stray, not_ours = settings.MOVES_WORK_DIR / str(uuid.uuid4()), settings.MOVES_WORK_DIR / "notes"
    failed = AppMigration.objects.create(
        app=shop.app, source_region=shop.app.region, dest_region=eu, status=Status.FAILED
    )
    for folder in (stray, not_ours, settings.MOVES_WORK_DIR / str(failed.pk)):
        folder.mkdir()
    left = found()
    assert {(orphan.kind, orphan.name) for orphan in left} == {("file", stray.name), ("file", str(failed.pk))}
    for orphan in left:
        follow(orphan.remedy)
    assert not_ours.exists()
    assert found() == []


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_region_that_does_not_answer_is_named_and_the_others_are_looked_at(
    shop: Shop, eu: Region, settings: LazySettings
) -> None:
    proof.make_sentinel(shop.cluster(shop.app.region))
    settings.EDGE_ADMIN_URLS = [*settings.EDGE_ADMIN_URLS, "http://127.0.0.1:1"]
    Region.objects.filter(pk=eu.pk).update(database="host=127.0.0.1 port=1 dbname=postgres")
    answer = command("--app", shop.app.slug, "--json")
    told = json.loads(answer.text)
    assert answer.status == 1
    assert [(part["region"], part["part"]) for part in told["unreachable"]] == [
        (EU, "cluster"),
        ("127.0.0.1:1", "edge"),
    ]
    (orphan,) = told["orphans"]
    assert orphan.keys() == {"kind", "region", "name", "why", "remedy"}
    assert (orphan["kind"], orphan["region"]) == ("schema", US)
    text = command("--app", shop.app.slug).text
    assert f"Not looked at: cluster of {EU}. PostgreSQL in {EU}: " in text
    assert text.endswith("1 thing is left over.\n")


def test_it_changes_nothing_and_tells_no_secret(shop: Shop, us: Region) -> None:
    moved(shop.app, EU)
    fence.raise_flag(shop.cluster(us))
    assert command("--app", shop.app.slug).status == 0
    assert fence.read_flag(shop.cluster(us)) == [[None, "on"]]
    assert shop.password not in command().text


def test_who_may_not_see_every_team_is_refused(shop: Shop) -> None:
    for who, role, status in (("vera", "Viewer", 4), ("rita", "Requester", 4), ("olaf", "Operator", 0)):
        person(who, role)
        assert command("--app", shop.app.slug, "--as", who).status == status
    assert command("--app", "no-such-app").status == 3
