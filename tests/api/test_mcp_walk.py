"""A chat assistant moves a real app there and back, through a portal that serves and workers that work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from migrations_app import actions
from migrations_app.models import Region
from tests.api.assistant import Assistant, token_of
from tests.browser.portal import Portal
from tests.conftest import Shop
from tests.people import person, team


@pytest.fixture
def portal(regions: dict[str, Region], tmp_path: Path, settings: LazySettings) -> Iterator[Portal]:
    portal = Portal(tmp_path)
    settings.REDIS_URL = portal.redis_url  # for what the test itself approves
    for region in ("us-east-1", "eu-west-1"):
        portal.work(region)
    yield portal
    portal.end()


@pytest.fixture
def anna(db: None) -> User:
    return person("anna", "Approver", "shop-team")


def test_there_and_back_and_the_way_back_given_up(
    shop: Shop, eu: Region, us: Region, portal: Portal, anna: User
) -> None:
    shop.app.owner = team("shop-team")
    shop.app.save(update_fields=["owner"])
    app = shop.app.slug
    assistant = Assistant(portal.url, token_of(person("olga", "Operator")))

    def wait_for(move: str, status: str) -> None:
        assistant.call_until(lambda told: told["status"] == status, "move_app_status", app_id=app, migration_id=move)

    assert {"us-east-1", "eu-west-1"} <= set(assistant.call("list_regions")["regions"])

    asked = assistant.call("move_app", app_id=app, dest_region="eu-west-1")
    move = asked["migration_id"]
    assert asked == {"migration_id": move, "status": "awaiting_approval"}
    assert move in assistant.refused("move_app", app_id=app, dest_region="eu-west-1")
    active = assistant.call("manage_migrations", action="get_active", app_id=app)["migration"]
    assert (active["migration_id"], active["status"]) == (move, "awaiting_approval")

    actions.approve(move_id=move, acting_user=anna)
    wait_for(move, "completed")
    assert assistant.call("manage_migrations", action="get_active", app_id=app) == {"migration": None}
    assert shop.sql(eu, "SELECT count(*) FROM item") == [(500,)]
    (replica,) = assistant.call("manage_migrations", action="list_source_replicas", app_id=app)["source_replicas"]
    assert (replica["migration_id"], replica["source_region"], replica["state"]) == (move, "us-east-1", "retained")
    assert "not_abortable" in assistant.refused("manage_migrations", action="abort", migration_id=move)
    with shop.connect(eu) as connection:
        connection.execute("INSERT INTO item (name) VALUES ('written in eu-west-1')")

    back = assistant.call("manage_migrations", action="reverse", migration_id=move)
    assert back == {"migrationId": back["migration_id"], "migration_id": back["migration_id"], "path": "fast"}
    wait_for(back["migration_id"], "completed")
    assert shop.sql(us, "SELECT count(*) FROM item") == [(501,)]

    last = back["migration_id"]
    assert assistant.call("teardown_source_replica", migration_id=last) == {"status": "awaiting_approval"}
    assert assistant.call("teardown_source_replica", migration_id=last) == {"status": "awaiting_approval"}
    actions.approve(move_id=last, acting_user=anna)
    assistant.call_until(lambda told: told == {"status": "torn_down"}, "teardown_source_replica", migration_id=last)
    assert "replica_torn_down" in assistant.refused("manage_migrations", action="reverse", migration_id=last)
    assert assistant.call("manage_migrations", action="list_source_replicas") == {"source_replicas": []}
    assert not shop.cluster(eu).exists()
