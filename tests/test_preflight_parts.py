"""What preflight finds of an app's blobs, process and route, and that an approval is bound to what stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import LazySettings
from django.conf import settings as now

from migrations_app import approvals
from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.models import App, Region
from migrations_app.move import bucket, host
from migrations_app.preflight import look, parts
from migrations_app.states import Act
from tests.conftest import Shop
from tests.guestbook import GuestBook, deployed
from tests.test_preflight import KEYED, found, one, problems, row_of

GONE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestBook]:
    """One for all of them: it is only looked at."""
    with deployed(tmp_path_factory.mktemp("secrets")) as book:
        yield book
    for admin_url in now.EDGE_ADMIN_URLS:
        edge.remove(admin_url, book.name)


def test_a_bucket_that_is_not_there(app: App) -> None:
    App.objects.filter(pk=app.pk).update(blobs="no-such-bucket")
    app.refresh_from_db()
    assert problems(found(app)) == [("PF701", "fail")]


def test_a_bucket_that_is_taken_at_the_destination(app: App, eu: Region) -> None:
    path = bucket(eu, app)
    blobs.make(path)
    assert problems(found(app)) == []
    blobs.write_text(f"{path}/one", "of somebody")
    assert problems(found(app)) == [("PF702", "fail")]
    assert blobs.read_text(f"{path}/one") == "of somebody"
    blobs.purge(path)


def test_a_store_that_is_away_hides_nothing(app: App, us: Region) -> None:
    Region.objects.filter(pk=us.pk).update(blobs="no-such-remote:")
    assert problems(found(app)) == [("PF701", "fail")]


def test_counting_many_blobs_is_ended(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_COUNT_SECONDS", 0.0)
    finding = one(app, "PF701")
    assert (finding["outcome"], finding["figures"]) == ("pass", {})
    assert finding["found"].startswith("More than ")


def test_a_program_that_is_not_there_and_one_that_is(app: App, us: Region, eu: Region) -> None:
    there = blobs.join(eu.runtime_path, f"{app.program}.conf")
    blobs.write_text(there, "[program:x]")
    try:
        assert problems(found(app)) == [("PF704", "fail")]
    finally:
        blobs.delete_file(there)
    assert runtime.exists(host(us), app.program)
    app.program = "no-such-program"
    assert ("PF703", "fail") in problems(found(app))


def test_a_region_without_a_host_or_a_store(app: App, eu: Region) -> None:
    Region.objects.filter(pk=eu.pk).update(blobs="", runtime_url="")
    assert problems(found(app)) == [("PF702", "fail"), ("PF704", "fail")]


def test_an_app_that_is_not_healthy(app: App) -> None:
    app.health_path = "/no-such-page"
    findings = found(app)
    assert problems(findings) == [("PF705", "warn")]
    assert "404" in findings["PF705"][0]["found"]


def test_an_edge_that_is_away(app: App, settings: LazySettings) -> None:
    real = now.EDGE_ADMIN_URLS
    settings.EDGE_ADMIN_URLS = [*real, GONE]
    findings = found(app)
    settings.EDGE_ADMIN_URLS = real
    assert problems(findings) == [("PF706", "fail")]
    assert "127.0.0.1:1" in findings["PF706"][0]["found"]
    assert "PF707" not in findings


def test_an_edge_that_sends_the_app_elsewhere(app: App) -> None:
    (url,) = now.EDGE_ADMIN_URLS
    before = edge.read(url, app.slug)
    edge.remove(url, app.slug)
    finding = one(app, "PF707")
    assert (finding["outcome"], "does not serve" in finding["found"]) == ("warn", True)
    assert before
    edge.apply(url, app.slug, before)
    app.port = 1
    finding = one(app, "PF707")
    assert (finding["outcome"], before.upstream in finding["found"]) == ("warn", True)


def test_nothing_of_the_apps_parts_is_changed(app: App, us: Region, eu: Region) -> None:
    def seen() -> object:
        (url,) = now.EDGE_ADMIN_URLS
        return (
            [blobs.entries(region.blobs) for region in (us, eu)],
            blobs.totals(bucket(us, app)),
            [runtime.known(host(region)) for region in (us, eu)],
            edge.own_routes(url),
            sorted(now.MOVES_WORK_DIR.rglob("*")) if now.MOVES_WORK_DIR.exists() else None,
        )

    before = seen()
    found(app)
    assert seen() == before


# -- approvals --------------------------------------------------------------------------------------------------------


def subject(shop: Shop) -> dict[str, object]:
    row = row_of(shop.app)
    return approvals.subject_of(row, Act.MOVE, look(row))


def test_what_grows_by_itself_does_not_void_an_approval_and_what_is_new_does(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(schema=f"{KEYED}; CREATE TABLE event (what text); CREATE TABLE note (what json)")
    before = subject(shop)
    assert [id for id, *_ in before["findings"]] == ["PF401", "PF402"]  # type: ignore[attr-defined]
    us = shop.app.region
    shop.sql(us, "INSERT INTO event SELECT repeat('x', 100) FROM generate_series(1, 5000)")
    shop.sql(us, "INSERT INTO note SELECT '{}' FROM generate_series(1, 5000)")
    assert approvals.differences(before, subject(shop)) == ""
    shop.sql(us, "CREATE TABLE another (what text)")
    assert approvals.differences(before, subject(shop)) == "what preflight finds"


def test_a_long_transaction_does_not_void_an_approval(
    make_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrations_app.preflight import access

    shop = make_shop(schema=KEYED)
    before = subject(shop)
    monkeypatch.setattr(access, "_LONG_SECONDS", 0)
    with shop.connect(shop.app.region) as session, session.transaction():
        session.execute("SELECT 1")
        assert one(shop.app, "PF502")["outcome"] == "warn"
        assert approvals.differences(before, subject(shop)) == ""
