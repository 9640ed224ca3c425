"""Rows by a written statement: as a queryset would give them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from migrations_app import queries
from migrations_app.errors import NotFound
from migrations_app.models import AppMigration, Approval, Region, SourceReplica, StepRun
from migrations_app.models.selecting import select
from migrations_app.states import Status
from tests import on_paper
from tests.people import person

pytestmark = pytest.mark.django_db


def test_every_field_is_as_a_queryset_reads_it() -> None:
    made = on_paper.completed(on_paper.app("shop"))
    made.facts = {"a": [1, {"b": None}]}
    made.verification = None
    made.save()
    for model, table in ((AppMigration, "appmigration"), (Region, "region"), (SourceReplica, "sourcereplica")):
        for (found,) in select(f"FROM migrations_app_{table} AS row", {}, row=model):
            expected = model.objects.get(pk=found.pk)
            assert found == expected
            for field in model._meta.concrete_fields:
                assert getattr(found, field.attname) == getattr(expected, field.attname), field.name
    assert queries.move(made.pk, viewer=None).facts == {"a": [1, {"b": None}]}


def test_a_move_comes_with_what_a_page_asks_of_it(django_assert_num_queries: Any) -> None:
    made = on_paper.completed(on_paper.app("shop"))
    with django_assert_num_queries(2):
        found = queries.move(str(made.pk), viewer=None)
        assert found.source_replica.app.region == found.dest_region
        assert found.source_replica.region == found.source_region
        assert found.source_replica.migration is found
        assert found.requested_by == made.requested_by
    plain = on_paper.move(on_paper.app("plain"), status=Status.HELD)
    with django_assert_num_queries(2):
        assert getattr(queries.move(plain.pk, viewer=None), "source_replica", None) is None


def test_what_there_is_about_a_move_is_in_its_order() -> None:
    made = on_paper.completed(on_paper.app("shop"))
    other = on_paper.completed(on_paper.app("plain"))
    runs = list(StepRun.objects.filter(migration=made).order_by("id"))
    assert queries.step_runs(made) == runs
    assert queries.approvals_of(made) == list(Approval.objects.filter(migration=made).order_by("id"))
    assert {event.migration_id for event in queries.events(made)} <= {made.pk}
    assert set(queries.step_runs(made)).isdisjoint(queries.step_runs(other))


def test_a_move_out_of_sight_is_none() -> None:
    made = on_paper.move(on_paper.app("shop", owner="team-a"), status=Status.HELD)
    assert queries.move(made.pk, viewer=person("vera", "Viewer", "team-a")) == made
    for viewer in (
        person("victor", "Viewer", "team-b"),
        person("norma", "", "team-a"),
        User.objects.create_user("nil"),
    ):
        with pytest.raises(NotFound):
            queries.move(made.pk, viewer=viewer)
    for wrong in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            queries.move(wrong, viewer=None)
