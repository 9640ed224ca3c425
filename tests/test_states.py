"""The table of transitions, written down once more by hand."""

import itertools

import pytest

from migrations_app.errors import Refused
from migrations_app.models import AppMigration
from migrations_app.states import ACTIVE, TERMINAL, TRANSITIONS, Status, may_become
from migrations_app.transitions import change_status

ALLOWED = {
    ("awaiting_approval", "queued"),
    ("awaiting_approval", "aborted"),
    ("queued", "running"),
    ("queued", "awaiting_approval"),
    ("queued", "aborted"),
    ("queued", "failed"),
    ("running", "completed"),
    ("running", "held"),
    ("running", "aborting"),
    ("held", "running"),
    ("held", "aborting"),
    ("held", "failed"),
    ("aborting", "aborted"),
    ("aborting", "failed"),
    ("aborting", "held"),
    ("aborting", "completed"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_every_edge_that_is_not_in_the_table_is_refused(before: Status, after: Status) -> None:
    assert may_become(before, after) is ((before, after) in ALLOWED)


def test_nothing_follows_a_terminal_status() -> None:
    assert {status for status, after in TRANSITIONS.items() if not after} == TERMINAL
    assert set(Status) == TERMINAL | ACTIVE


@pytest.mark.django_db
def test_a_refused_transition_writes_nothing() -> None:
    with pytest.raises(Refused, match="cannot become"):
        change_status(AppMigration(status=Status.COMPLETED), Status.RUNNING, verb="start")
