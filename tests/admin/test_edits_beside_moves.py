"""An app is edited while a move of it goes on: the edit is judged by how the app is when it is written, and writes
nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from migrations_app.models import App, AppMigration, Region
from tests import on_paper
from tests.admin.pages import page, send
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EDIT = "migrations_app_app_change"


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], object]], Future[None]]]:
    """Runs something in a thread with a connection of its own."""

    def run(act: Callable[[], object]) -> None:
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        yield lambda act: pool.submit(run, act)


def held_up_by(pid: int) -> bool:
    """Whether somebody waits for a lock of that backend."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid)))", [pid]
        )
        return bool(cursor.fetchone()[0])


def own_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def switch(app: App) -> None:
    """What a move writes at its pivot."""
    App.objects.filter(pk=app.pk).update(region=Region.objects.get(slug="eu-west-1"))


def edit(app: App, admin: User, **changes: Any) -> Any:
    assert app.owner is not None
    return send(admin, EDIT, app.pk, **{"owner": app.owner.pk, "health_path": app.health_path, **changes})


def test_a_move_that_switches_after_the_page_was_loaded(shop: App, admin: User) -> None:
    assert page(admin, EDIT, shop.pk).status_code == 200
    switch(shop)
    assert edit(shop, admin, health_path="/up").status_code == 302
    shop.refresh_from_db()
    assert (shop.region.slug, shop.health_path) == ("eu-west-1", "/up")


def test_a_move_that_switches_while_an_edit_is_checked(
    shop: App, admin: User, monkeypatch: pytest.MonkeyPatch, beside: Callable[[Callable[[], object]], Future[None]]
) -> None:
    clean, switching = App.clean, list[Future[None]]()

    def clean_while_it_switches(app: App) -> None:
        switching.append(beside(lambda: switch(shop)))
        wait_until(lambda: switching[0].done() or held_up_by(own_pid()))
        clean(app)

    monkeypatch.setattr(App, "clean", clean_while_it_switches)
    assert edit(shop, admin, health_path="/up").status_code == 302
    switching[0].result(20)
    shop.refresh_from_db()
    assert (shop.region.slug, shop.health_path) == ("eu-west-1", "/up"), "the edit wrote the old region back"


def test_a_move_that_is_requested_while_an_edit_comes_in(
    shop: App, admin: User, beside: Callable[[Callable[[], object]], Future[None]]
) -> None:
    locked = Event()

    def request() -> None:
        with transaction.atomic():
            App.objects.select_for_update(no_key=True).get(pk=shop.pk)  # as every request does
            on_paper.move(shop)
            pid = own_pid()
            locked.set()
            wait_until(lambda: held_up_by(pid))

    requesting = beside(request)
    assert locked.wait(20)
    response = edit(shop, admin, database="shop", blobs="other")
    requesting.result(20)
    assert AppMigration.objects.filter(app=shop).exists()
    assert "goes by this" in response.content.decode()
    shop.refresh_from_db()
    assert shop.blobs == ""
