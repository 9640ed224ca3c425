"""A client that knows the table in DESIGN and nothing else walks a real move over the network."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.api.caller import token_of
from tests.browser.portal import Portal
from tests.conftest import Shop
from tests.people import person
from tests.waiting import wait_until

_MOVES_SECONDS = 120


class Client:
    """Bearer tokens, JSON."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def __call__(self, method: str, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/v1{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.mark.django_db(transaction=True)
def test_a_client_written_from_the_table_moves_an_app_and_back(portal: Portal, shop: Shop) -> None:
    call = Client(portal.url, token_of(person("robot", "Operator")))
    app = f"/apps/{shop.app.slug}"

    def followed(move_id: str) -> dict[str, Any]:
        seen: list[dict[str, Any]] = []

        def is_over() -> bool:
            status, now = call("GET", f"{app}/migrations/{move_id}")
            assert status == 200
            seen[:] = [now]
            return now["status"] in ("completed", "aborted", "failed", "held")

        wait_until(is_over, _MOVES_SECONDS)
        return seen[0]

    status, said = call("GET", "/regions")
    assert (status, "eu-west-1" in said["regions"]) == (200, True)
    assert call("POST", f"{app}/move", {"dest_region": "atlantis"})[1]["error"] == "invalid_region"
    assert call("GET", f"{app}/migrations/active") == (200, {"migration": None})

    status, first = call("POST", f"{app}/move", {"dest_region": "eu-west-1"})
    assert (status, set(first)) == (202, {"migration_id", "status"})
    assert call("GET", f"{app}/migrations/active")[1]["migration"]["migration_id"] == first["migration_id"]
    status, said = call("POST", f"{app}/move", {"dest_region": "eu-west-1"})
    assert (status, said["error"], bool(said["reason"])) == (409, "ineligible", True)
    status, said = call("POST", f"{app}/migrations/{first['migration_id']}/abort")
    assert (status, said["migration_id"]) == (200, first["migration_id"])
    assert followed(first["migration_id"])["status"] == "aborted"

    for region in ("eu-west-1", "us-east-1"):
        portal.work(region)
    _, second = call("POST", f"{app}/move", {"dest_region": "eu-west-1"})
    done = followed(second["migration_id"])
    assert (done["status"], done["last_error"], done["source_replica_state"]) == ("completed", None, "retained")
    status, said = call("POST", f"{app}/migrations/{second['migration_id']}/abort")
    assert (status, "no" in said["reason"]) == (409, True)

    status, back = call("POST", f"{app}/migrations/{second['migration_id']}/reverse")
    assert (status, back["path"], back["migrationId"]) == (202, "fast", back["migration_id"])
    assert followed(back["migrationId"])["status"] == "completed"
    shop.app.refresh_from_db()
    assert shop.app.region.slug == "us-east-1"

    status, said = call("GET", "/source-replicas")
    assert [(row["migration_id"], row["state"]) for row in said["source_replicas"]] == [
        (back["migrationId"], "retained")
    ]
    status, said = call("DELETE", f"/source-replicas/{back['migrationId']}")
    assert (status, said) == (202, {"status": "tearing_down"})
    wait_until(lambda: call("DELETE", f"/source-replicas/{back['migrationId']}") == (200, {"status": "torn_down"}), 60)
    assert call("GET", "/source-replicas") == (200, {"source_replicas": []})
    assert call("POST", f"{app}/migrations/{back['migrationId']}/reverse")[0] == 409
