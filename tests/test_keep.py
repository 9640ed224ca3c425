"""How long a replica is kept, and that somebody is asked about it when its day has come."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command

from migrations_app import actions, audit, offers, published
from migrations_app.clock import beginning_of, database_now
from migrations_app.engine import reviews
from migrations_app.engine.alarms import still_open
from migrations_app.engine.watching import Watch
from migrations_app.errors import Forbidden, InvalidInput, NotFound, Refused
from migrations_app.models import Alarm, AppMigration, AuditEvent, SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import ReplicaState
from tests import on_paper
from tests.admin.pages import of_move, open_and_shut, page, send, verb
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def move() -> AppMigration:
    """Completed; its replica is retained."""
    return on_paper.completed(on_paper.app("shop"))


@pytest.fixture
def operator() -> User:
    return person("olga", "Operator")


def in_days(days: int) -> datetime:
    return beginning_of(database_now().date() + timedelta(days=days))


def let_its_day_come(move: AppMigration) -> SourceReplica:
    SourceReplica.objects.filter(migration=move).update(review_at=database_now() - timedelta(days=1))
    return SourceReplica.objects.get(migration=move)


def run(*argv: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("manage_migrations", *argv, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


# -- the act ----------------------------------------------------------------------------------------------------------


def test_a_new_replica_is_kept_for_as_long_as_the_setting_says(settings: LazySettings) -> None:
    settings.MOVES_REPLICA_REVIEW_DAYS = 3
    replica = SourceReplica.objects.get(migration=on_paper.completed(on_paper.app("shop")))
    kept_for = replica.review_at - replica.created_at
    assert timedelta(days=3, minutes=-1) < kept_for < timedelta(days=3, minutes=1)


def test_keeping_sets_the_day_and_the_trail_tells_both(move: AppMigration, operator: User) -> None:
    before, until = move.source_replica.review_at, in_days(30)
    actions.keep(move_id=move.pk, acting_user=operator, until=until, reason=" the sale ")
    assert SourceReplica.objects.get().review_at == until
    event = AuditEvent.objects.get(verb="keep")
    assert (event.migration, event.actor_name, event.to_status) == (move, "olga", "")
    assert event.reason == f"{before:%Y-%m-%d} → {until:%Y-%m-%d}: the sale"


def test_it_needs_no_reason_and_may_be_sooner_than_before(move: AppMigration) -> None:
    replica = actions.keep(move_id=move.pk, acting_user=None, until=in_days(2))
    assert replica.review_at == in_days(2)
    assert AuditEvent.objects.get(verb="keep").reason.endswith(f"→ {in_days(2):%Y-%m-%d}")


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_day_that_is_over_or_more_than_a_year_away_is_refused(move: AppMigration, days: int) -> None:
    before = SourceReplica.objects.values().get()
    with pytest.raises(InvalidInput) as refused:
        actions.keep(move_id=move.pk, acting_user=None, until=in_days(days))
    assert (refused.value.code, bool(refused.value.hint)) == ("invalid_time", True)
    assert (SourceReplica.objects.values().get(), AuditEvent.objects.count()) == (before, 0)


@pytest.mark.parametrize("state", [state for state in ReplicaState if state != ReplicaState.RETAINED])
def test_only_a_retained_replica_is_kept(move: AppMigration, state: ReplicaState) -> None:
    SourceReplica.objects.update(state=state)
    with pytest.raises(Refused) as refused:
        actions.keep(move_id=move.pk, acting_user=None, until=in_days(9))
    assert refused.value.code == f"replica_{state}"


def test_a_move_that_left_no_replica_has_none_to_keep() -> None:
    move = on_paper.move(on_paper.app("shop"))
    with pytest.raises(Refused) as refused:
        actions.keep(move_id=move.pk, acting_user=None, until=in_days(9))
    assert refused.value.code == "no_replica"


def test_who_may_not_tear_it_down_may_not_keep_it(move: AppMigration) -> None:
    for user, error in (
        (person("rita", "Requester", "team-a"), Forbidden),
        (person("nora", "Requester", "team-b"), NotFound),
    ):
        with pytest.raises(error):
            actions.keep(move_id=move.pk, acting_user=user, until=in_days(9))


# -- the alarm --------------------------------------------------------------------------------------------------------


def test_past_its_day_an_alarm_asks_about_it_until_it_is_kept_longer(move: AppMigration, operator: User) -> None:
    reviews.look()
    assert not Alarm.objects.exists()
    replica = let_its_day_come(move)
    reviews.look()
    reviews.look()
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.about, alarm.migration) == ("replica_overdue", f"replica {replica.pk}", move)
    assert f"shop in us-east-1 was kept until {replica.review_at:%Y-%m-%d}" in alarm.sentence
    assert alarm.hint == "Reverse, tear down, or keep it longer."
    actions.keep(move_id=move.pk, acting_user=operator, until=in_days(5))
    assert not still_open().exists(), "at once, not with the next look"
    reviews.look()
    assert Alarm.objects.get().ended_at


def test_nothing_is_torn_down_by_itself(move: AppMigration) -> None:
    before = let_its_day_come(move)
    reviews.look()
    after = SourceReplica.objects.get()
    assert (after.state, after.acts, after.due_at) == (ReplicaState.RETAINED, [], before.due_at)


def test_the_question_is_settled_once_the_replica_is_no_more(move: AppMigration) -> None:
    let_its_day_come(move)
    reviews.look()
    SourceReplica.objects.update(state=ReplicaState.TEARING_DOWN)
    reviews.look()
    assert not still_open().exists()


def test_the_watch_asks_even_if_the_regions_are_away(move: AppMigration) -> None:
    let_its_day_come(move)
    Watch().look()
    assert "replica_overdue" in still_open().values_list("code", flat=True)


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_keeps_it_and_the_list_shows_it(move: AppMigration, operator: User) -> None:
    until = in_days(20).date().isoformat()
    status, said = run("keep", str(move.pk), "--until", until, "--reason", "the sale", "--as", "olga", "--json")
    assert (status, json.loads(said)) == (0, {"migration_id": str(move.pk), "review_at": f"{until}T00:00:00Z"})
    assert AuditEvent.objects.get(verb="keep").actor == operator
    assert f"kept until {until}" in run("list_source_replicas")[1]
    (listed,) = json.loads(run("list_source_replicas", "--json")[1])["source_replicas"]
    assert listed["review_at"] == f"{until}T00:00:00Z"


@pytest.mark.parametrize("until", ["tomorrow", "2020-01-01", "2999-01-01", ""])
def test_the_command_takes_a_day_to_come(move: AppMigration, until: str) -> None:
    status, said = run("keep", str(move.pk), "--until", until, "--json")
    assert (status, json.loads(said)["error"]) == (3, "invalid_time")


def test_the_published_shape_of_a_replica_has_not_grown(move: AppMigration) -> None:
    assert "review_at" not in published.describe_replica(move.source_replica)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_button_is_there_while_there_is_something_to_keep(move: AppMigration, operator: User) -> None:
    assert "Keep until…" in open_and_shut(of_move(operator, move))[0]
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    may, may_not = open_and_shut(of_move(operator, move))
    assert "Keep until…" not in may | may_not
    viewer = person("vera", "Viewer", "team-a")
    SourceReplica.objects.update(state=ReplicaState.RETAINED)
    assert "Keep until…" not in open_and_shut(of_move(viewer, move))[0]


def test_the_page_says_what_it_brings_about_and_offers_a_later_day(move: AppMigration, operator: User) -> None:
    SourceReplica.objects.update(review_at=in_days(10))
    html = page(operator, verb("keep"), move.pk).content.decode()
    assert "Keep the replica of shop in us-east-1" in html
    assert f"So far it is kept until {in_days(10):%Y-%m-%d}" in html
    assert f'value="{in_days(24):%Y-%m-%d}"' in html
    SourceReplica.objects.update(review_at=in_days(360))
    latest = (database_now() + timedelta(days=366)).date()
    assert f'value="{latest}"' in page(operator, verb("keep"), move.pk).content.decode()


def test_the_form_keeps_it(move: AppMigration, operator: User) -> None:
    until = in_days(40)
    answer = send(operator, verb("keep"), move.pk, until=until.date().isoformat(), reason="<b>the sale</b>")
    assert answer.status_code == 302
    assert SourceReplica.objects.get().review_at == until
    shown = of_move(operator, move).content.decode()
    assert "<b>the sale" not in shown
    assert "&lt;b&gt;the sale" in shown


@pytest.mark.parametrize(
    ("until", "said"),
    [("", "This field is required"), ("soon", "Enter a valid date"), ("2020-01-01", "2020-01-01 is not to come")],
)
def test_the_form_says_what_is_wrong_and_loses_nothing(
    move: AppMigration, operator: User, until: str, said: str
) -> None:
    answer = send(operator, verb("keep"), move.pk, until=until, reason="the sale")
    assert (answer.status_code, AuditEvent.objects.count()) == (400, 0)
    html = answer.content.decode()
    assert said in html
    assert "the sale</textarea>" in html


def test_the_page_of_a_replica_that_is_gone_says_so(move: AppMigration, operator: User) -> None:
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    html = page(operator, verb("keep"), move.pk).content.decode()
    assert "was torn down: there is no way back" in html
    assert 'name="until"' not in html
    assert send(operator, verb("keep"), move.pk, until=f"{in_days(3):%Y-%m-%d}").status_code == 409


def test_the_trail_stays_whole(move: AppMigration, operator: User) -> None:
    actions.keep(move_id=move.pk, acting_user=operator, until=in_days(30))
    verdict = audit._verdict(AuditEvent.objects.all(), AppMigration.objects.none())
    assert (verdict.problems, verdict.events) == ([], 1)


def test_offers_tell_of_it(move: AppMigration, operator: User) -> None:
    (offer,) = [offer for offer in offers.of_move(move, user=operator) if offer.verb == Verb.KEEP]
    assert (offer.blockers, offer.act) == ([], None)


def test_a_day_is_meant_in_utc() -> None:
    assert beginning_of(datetime(2030, 1, 31, tzinfo=UTC).date()) == datetime(2030, 1, 31, tzinfo=UTC)
