"""Where a move stands is asked often: it costs few queries, and no more of them with a longer log."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migrations_app.models import StepRun
from migrations_app.states import Status, Step
from tests import on_paper
from tests.api.caller import Caller
from tests.test_permissions import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("path", "most"), [("{id}", 5), ("active", 5)])
def test_a_status_costs_few_queries(here: World, path: str, most: int) -> None:
    user = here.people["Requester"]
    assert user
    caller, move = Caller(user), on_paper.move(here.apps["own"], status=Status.RUNNING)
    address = f"/apps/ours-shop/migrations/{path.format(id=move.pk)}"
    caller.get(address)
    asked = []
    for step in list(Step)[:2]:
        StepRun.objects.create(migration=move, step=step, status="done", acts=[{"at": "", "text": ""}] * 500)
        with CaptureQueriesContext(connection) as seen:
            answer = caller.get(address)
        assert answer.status_code == 200
        asked.append(len(seen))
    assert asked == [most, most], [(query["sql"] or "prepared before")[:300] for query in seen.captured_queries]
