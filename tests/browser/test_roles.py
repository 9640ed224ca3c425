"""Each role sees as buttons only what it may press."""

from __future__ import annotations

from tests.browser.browsing import Desk
from tests.browser.colleagues import colleague
from tests.browser.pressing import look_at, offered
from tests.browser.scene import Scene
from tests.people import ROLES

MAY = {
    "Viewer": {"waiting": set(), "held": set(), "done": set()},
    "Requester": {"waiting": {"Abort"}, "held": {"Reverse"}, "done": {"Reverse"}},
    "Approver": {"waiting": {"Approve", "Reject"}, "held": set(), "done": set()},
    "Operator": {
        "waiting": {"Abort"},
        "held": {"Retry", "Reverse"},
        "done": {"Reverse", "Tear down", "Keep until…"},
    },
    "Admin": {
        "waiting": {"Approve", "Reject"},
        "held": {"Retry", "Reverse"},
        "done": {"Reverse", "Tear down", "Keep until…"},
    },
}


def test_each_role_is_offered_what_it_may_do_now(desk: Desk, scene: Scene) -> None:
    found: dict[str, dict[str, set[str]]] = {}
    for role in ROLES:
        page = desk.sit_down(colleague(f"the-{role.lower()}", role))
        found[role] = {}
        for name in ("waiting", "held", "done"):
            look_at(page, getattr(scene, name))
            found[role][name] = offered(page)
        desk.leave()
    assert found == MAY
