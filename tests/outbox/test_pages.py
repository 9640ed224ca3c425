"""Subscriptions and deliveries in the admin: who edits, who sees, what is refused, what is on the trail."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from migrations_app.delivery import signing
from migrations_app.delivery.sender import deliver_all
from migrations_app.event_types import TRANSITIONS
from migrations_app.models import AppMigration, AuditEvent, OutboxMessage, Subscription
from migrations_app.states import Status
from migrations_app.transitions import change_status
from tests import on_paper
from tests.outbox.conftest import Subscribe
from tests.outbox.receivers import Receiver
from tests.people import person, team

pytestmark = pytest.mark.django_db

FORM = {"name": "ops", "channel": "webhook", "target": "https://hooks.example.com/moves", "events": ["move.held"]}


@pytest.fixture
def admin() -> User:
    return person("ada", "Admin")


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, *args: object) -> str:
    return reverse(f"admin:migrations_app_{name}", args=args)


def add(user: User, **fields: Any) -> Any:
    return client_of(user).post(url("subscription_add"), {**FORM, "enabled": "on", **fields}, follow=True)


def problems(response: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist"[^>]*>(.*?)</ul>', response.content.decode(), re.DOTALL))


def test_an_admin_subscribes_a_team_and_that_is_on_the_trail(admin: User) -> None:
    ours = team("team-a")
    assert not problems(add(admin, team=ours.pk))
    made = Subscription.objects.get()
    assert (made.name, made.team, made.events, made.enabled) == ("ops", ours, ["move.held"], True)
    client_of(admin).post(
        url("subscription_change", made.pk),
        {**FORM, "team": ours.pk, "target": "https://other.example/", "enabled": "on"},
    )
    events = AuditEvent.objects.filter(target="subscription ops").order_by("id")
    assert [(event.verb, event.actor_name) for event in events] == [("add", "ada"), ("edit", "ada")]
    assert events[1].reason == "target: https://hooks.example.com/moves → https://other.example/"


def test_the_form_proposes_all_that_changes_a_status(admin: User) -> None:
    html = client_of(admin).get(url("subscription_add")).content.decode()
    ticked = re.findall(r'name="events" value="([\w.]+)"[^>]* checked', html)
    assert ticked == list(TRANSITIONS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target": "https://user:pw@hooks.example.com/"}, "carries a login"),
        ({"target": "https://hooks.example.com/?token=1"}, "carries a login, a query"),
        ({"target": "https://discord.example/api/webhooks/AbCdEfGhIjKlMnOpQrStUvWx"}, "looks like a token"),
        ({"target": "hooks.example.com"}, "neither a URL nor the name of one"),
        ({"target": "ftp://hooks.example.com/"}, "no URL that can be posted to"),
        ({"target": "no-such-name"}, "no URL under the name no-such-name"),
        ({"channel": "slack", "target": "https://hooks.slack.com/services/T0/B0/x"}, "is a secret"),
        ({"channel": "mail", "target": "nobody"}, "no mail address"),
        ({"channel": "mail", "target": "a@b.example\r\nBcc: c@d.example"}, "no mail address"),
        ({"channel": "mail", "target": "a@b.example,c@d.example"}, "no mail address"),
        ({"channel": "mail", "target": "a@b.example"}, "EMAIL_URL is not set"),
        ({"events": ["move.nothing"]}, "not one of the available choices"),
        ({"events": []}, "This field is required"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_says_why(
    admin: User, settings: Any, fields: dict[str, Any], said: str
) -> None:
    settings.EMAIL_IS_SET = False
    response = add(admin, **fields)
    assert said in problems(response)
    assert not Subscription.objects.exists()


def test_without_a_key_no_webhook_is_subscribed(admin: User, settings: Any) -> None:
    settings.MOVES_WEBHOOK_KEY = ""
    assert "MOVES_WEBHOOK_KEY is not set" in problems(add(admin))


def test_what_lacks_its_settings_can_still_be_switched_off(admin: User, subscribe: Subscribe, settings: Any) -> None:
    subscription = subscribe(channel="slack", target="a-name-that-is-gone")
    settings.MOVES_WEBHOOK_KEY = ""
    form = {**FORM, "channel": "slack", "target": subscription.target}
    client_of(admin).post(url("subscription_change", subscription.pk), form)
    subscription.refresh_from_db()
    assert not subscription.enabled


def test_a_role_is_no_team(admin: User) -> None:
    assert "valid choice" in problems(add(admin, team=team("Admin").pk))


@pytest.mark.parametrize(
    ("channel", "target"),
    [
        ("webhook", "https://user:pw@hooks.example.com/"),
        ("webhook", "https://hooks.example.com/?key=1"),
        ("slack", "https://hooks.slack.com/services/T0/B0/x"),
    ],
)
def test_the_database_takes_no_secret_either(channel: str, target: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(name="ops", channel=channel, target=target)


def test_the_key_is_shown_when_asked_for_and_never_kept(admin: User, subscribe: Subscribe) -> None:
    subscription = subscribe()
    key, client = signing.shown(subscription), client_of(admin)
    page = client.get(url("subscription_change", subscription.pk)).content.decode()
    assert "Show the signing key" in page
    assert key not in page
    shown = client.post(url("subscription_key", subscription.pk), {"version": 1})
    assert key in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    assert AuditEvent.objects.get().verb == "show_key"
    for row in (*AuditEvent.objects.values(), *Subscription.objects.values()):
        assert key not in str(row)


def test_a_key_that_is_rotated_twice_at_once_is_rotated_once(admin: User, subscribe: Subscribe) -> None:
    subscription, client = subscribe(), client_of(admin)
    for _ in range(2):
        client.post(url("subscription_rotate", subscription.pk), {"version": 1})
    subscription.refresh_from_db()
    assert subscription.key_version == 2
    assert [event.reason for event in AuditEvent.objects.all()] == ["key 1 → 2"]


def test_mail_and_slack_have_no_key(admin: User, subscribe: Subscribe) -> None:
    subscription = subscribe(channel="mail", target="a@b.example")
    assert "signing key" not in client_of(admin).get(url("subscription_change", subscription.pk)).content.decode()
    answer = client_of(admin).post(url("subscription_key", subscription.pk), {"version": 1}, follow=True)
    assert "whsec_" not in answer.content.decode()


@pytest.fixture
def deliveries(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> dict[str, OutboxMessage]:
    """One to each of three subscriptions, by the subscription's name; all dead."""
    subscribe("of-all")
    subscribe("of-a", team=team("team-a"))
    subscribe("of-b", team=team("team-b"))
    change_status(move, Status.RUNNING, verb="start")
    change_status(on_paper.move(on_paper.app("blog", "team-b")), Status.RUNNING, verb="start")
    receiver.answer(500)
    deliver_all()
    OutboxMessage.objects.update(dead_at=Now())
    return {f"{message.subscription} {message.migration.app}": message for message in OutboxMessage.objects.all()}


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        (("Viewer", "team-a"), {"of-a shop"}),
        (("Approver", "team-b"), {"of-b blog"}),
        (("Viewer", "team-c"), set()),
        (("Operator",), {"of-all shop", "of-all blog", "of-a shop", "of-b blog"}),
    ],
)
def test_people_see_what_their_team_is_told(
    deliveries: dict[str, OutboxMessage], who: tuple[str, ...], sees: set[str]
) -> None:
    client = client_of(person("vera", *who))
    for name, message in deliveries.items():
        page = client.get(url("outboxmessage_change", message.pk))
        assert (page.status_code == 200) == (name in sees)
    listed = client.get(url("outboxmessage_changelist")).content.decode()
    names = client.get(url("subscription_changelist")).content.decode()
    for name in deliveries:
        told, app = name.split(" ")
        assert (f">{told}<" in names) == any(seen.startswith(f"{told} ") for seen in sees)
        assert (told in listed) == any(seen.startswith(f"{told} ") for seen in sees)
        assert (f"{app} us-east-1" in listed) == any(seen.endswith(app) for seen in sees)


def test_an_app_that_went_to_another_team_takes_its_deliveries_out_of_sight(
    deliveries: dict[str, OutboxMessage],
) -> None:
    move = deliveries["of-a shop"].migration
    move.app.owner = team("team-c")
    move.app.save()
    page = client_of(person("vera", "Viewer", "team-a")).get(url("outboxmessage_changelist"))
    assert "shop" not in page.content.decode()


def test_a_dead_delivery_is_filtered_for_and_sent_again(
    deliveries: dict[str, OutboxMessage], receiver: Receiver
) -> None:
    client, dead = client_of(person("olga", "Operator")), deliveries["of-a shop"]
    for state, count in (("dead", 4), ("sent", 0), ("pending", 0)):
        listed = client.get(url("outboxmessage_changelist"), {"state": state}).content.decode()
        assert listed.count('class="field-when"') == count
    page = client.get(url("outboxmessage_change", dead.pk)).content.decode()
    assert "The receiver answered 500." in page
    assert "Send it again" in page
    receiver.answer(200)
    client.post(url("outboxmessage_again", dead.pk))
    assert AuditEvent.objects.filter(verb="send_again", actor_name="olga", migration=dead.migration).exists()
    deliver_all()
    dead.refresh_from_db()
    assert dead.state == "sent"
    said = client.post(url("outboxmessage_again", dead.pk), follow=True).content.decode()
    assert "It was sent." in said


def test_a_team_sends_nothing_again(deliveries: dict[str, OutboxMessage]) -> None:
    client, dead = client_of(person("rita", "Requester", "team-a")), deliveries["of-a shop"]
    assert "Send it again" not in client.get(url("outboxmessage_change", dead.pk)).content.decode()
    assert client.post(url("outboxmessage_again", dead.pk)).status_code == 403


def test_what_is_switched_off_is_not_sent_again(deliveries: dict[str, OutboxMessage], admin: User) -> None:
    Subscription.objects.update(enabled=False)
    page = client_of(admin).post(url("outboxmessage_again", deliveries["of-a shop"].pk), follow=True)
    assert "is switched off" in page.content.decode()
    assert OutboxMessage.objects.filter(dead_at__isnull=True).count() == 0
