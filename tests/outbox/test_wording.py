"""What people read: the sentence, Slack's JSON and mails, whatever the reason says."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now

from migrations_app.delivery.payload import as_mail
from migrations_app.delivery.sender import deliver_all
from migrations_app.delivery.wording import _HAPPENED
from migrations_app.event_types import EVENT_TYPES
from migrations_app.models import App, AppMigration, OutboxMessage
from migrations_app.states import Status
from migrations_app.transitions import change_status, record
from tests import on_paper
from tests.outbox.conftest import Subscribe, later
from tests.outbox.receivers import MailBox, Receiver
from tests.people import person

pytestmark = pytest.mark.django_db

EVIL = "<!channel> <https://evil.example|look> & *now*\r\nBcc: all@example.com\x07\u2028\n.\r\nQUIT\r\n"


@pytest.fixture
def slack(receiver: Receiver, subscribe: Subscribe, settings: Any, tmp_path: Any) -> Receiver:
    """Named in the file of URLs, as its URL is a secret."""
    names = tmp_path / "urls"
    names.write_text(f"# our channels\n\nops-channel = {receiver.url}/secret-token\nother=https://other.example\n")
    settings.MOVES_WEBHOOK_URLS_FILE = str(names)
    subscribe("slack", channel="slack", target="ops-channel")
    return receiver


@pytest.fixture
def mailed(mail_box: MailBox, subscribe: Subscribe) -> MailBox:
    subscribe("mail", channel="mail", target="oncall@example.com")
    return mail_box


def test_slack_gets_one_sentence_with_a_link(move: AppMigration, slack: Receiver) -> None:
    change_status(move, Status.RUNNING, verb="start", actor=person("ann"), reason="its time has come")
    deliver_all()
    (request,) = slack.requests
    assert request.path == "/hook/secret-token"
    assert json.loads(request.body) == {
        "text": "Move of shop from us-east-1 to eu-west-1 is running (start, by ann): its time has come "
        f"<https://moves.example.com/admin/migrations_app/appmigration/{move.pk}/change/|Look at it>"
    }
    assert "webhook-signature" not in request.headers


def test_nothing_in_a_reason_becomes_a_mention_or_a_link(move: AppMigration, slack: Receiver) -> None:
    change_status(move, Status.RUNNING, verb="start", reason=EVIL * 20)
    deliver_all()
    text = json.loads(slack.requests[0].body)["text"]
    own, _, link = text.partition(" <https://moves.example.com/")
    assert not {"<", ">", "\n", "\r", "\x07", "\u2028"} & set(own)
    assert "&lt;!channel&gt; &lt;https://evil.example|look&gt; &amp; *now* Bcc:" in own
    assert len(text) < 800
    assert link.endswith("|Look at it>")


def test_a_name_that_the_file_lacks_is_said(move: AppMigration, slack: Receiver, settings: Any) -> None:
    settings.MOVES_WEBHOOK_URLS_FILE = "/nowhere"
    change_status(move, Status.RUNNING, verb="start")
    deliver_all()
    assert "MOVES_WEBHOOK_URLS_FILE names cannot be read" in OutboxMessage.objects.get().last_error
    settings.MOVES_WEBHOOK_URLS_FILE = ""
    later(minutes=1)
    deliver_all()
    assert "no URL under the name ops-channel" in OutboxMessage.objects.get().last_error
    assert slack.requests == []


def test_no_error_tells_a_url_that_is_a_secret(move: AppMigration, slack: Receiver, settings: Any) -> None:
    slack.answer(404)
    change_status(move, Status.RUNNING, verb="start")
    deliver_all()
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = []
    later(minutes=1)
    deliver_all()
    message = OutboxMessage.objects.get()
    assert message.attempts == 2
    assert "secret" not in f"{message.last_error} {message.payload}"


def text_of(mail: Message) -> str:
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def test_a_mail_says_what_happened_and_what_is_safe(move: AppMigration, mailed: MailBox) -> None:
    change_status(move, Status.RUNNING, verb="start")
    AppMigration.objects.update(writes_blocked_at=Now())
    change_status(move, Status.HELD, verb="hold", reason="three workers died")
    deliver_all()
    deliver_all()
    (to, mail) = mailed.mails[1]
    assert (to, mail["To"]) == (["oncall@example.com"], "oncall@example.com")
    assert mail["Subject"] == (
        "Move of shop from us-east-1 to eu-west-1 is held: somebody has to decide how it goes on"
    )
    assert text_of(mail).splitlines() == [
        f"{mail['Subject']} (hold, by the portal): three workers died",
        "",
        "shop is served from us-east-1. Its writes are blocked. Safe: retry it, or abort it, which undoes everything.",
        "",
        f"https://moves.example.com/admin/migrations_app/appmigration/{move.pk}/change/",
    ]
    assert mail["Message-ID"] != mailed.mails[0][1]["Message-ID"]


def test_nothing_in_a_reason_gets_into_the_head_of_a_mail_or_ends_it(move: AppMigration, mailed: MailBox) -> None:
    change_status(move, Status.RUNNING, verb="start", reason=EVIL)
    deliver_all()
    ((to, mail),) = mailed.mails
    assert to == ["oncall@example.com"]
    assert mail["Bcc"] is None
    assert "Bcc: all@example.com . QUIT" in text_of(mail)
    assert "https://moves.example.com" in text_of(mail)


def test_a_name_with_a_line_break_is_no_header(move: AppMigration, mailed: MailBox) -> None:
    App.objects.update(slug="shop\r\nBcc: all@example.com")
    change_status(AppMigration.objects.get(), Status.RUNNING, verb="start")
    deliver_all()
    ((_, mail),) = mailed.mails
    assert mail["Bcc"] is None
    assert "shop Bcc: all@example.com" in mail["Subject"]


def test_a_mail_that_is_not_taken_is_tried_again(move: AppMigration, mailed: MailBox) -> None:
    mailed.refuses = True
    change_status(move, Status.RUNNING, verb="start")
    deliver_all()
    assert "it refuses the address" in OutboxMessage.objects.get().last_error
    mailed.refuses = False
    later(minutes=1)
    deliver_all()
    assert (OutboxMessage.objects.get().state, len(mailed.mails)) == ("sent", 1)


def test_what_the_mail_server_says_of_the_login_is_not_told(move: AppMigration, mailed: MailBox, settings: Any) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "secret"
    change_status(move, Status.RUNNING, verb="start")
    deliver_all()
    assert OutboxMessage.objects.get().state == "pending"
    assert "secret" not in OutboxMessage.objects.get().last_error


def test_a_message_that_is_late_says_how_things_stand_by_now(move: AppMigration, subscribe: Subscribe) -> None:
    subscribe(events=["move.running"])
    change_status(move, Status.RUNNING, verb="start")
    change_status(move, Status.ABORTING, verb="abort", ends_as="aborted")
    change_status(move, Status.ABORTED, verb="undone")
    deliver_all()
    payload = OutboxMessage.objects.get().payload
    assert payload
    assert payload["data"]["to_status"] == "running"
    assert payload["data"]["status"] == "aborted"
    assert payload["data"]["what_is_safe"].startswith("Meanwhile it is aborted.")


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_there_are_words_for_every_event(move: AppMigration, subscribe: Subscribe, kind: str) -> None:
    subscribe()
    thing, _, said = kind.partition(".")
    status = said if said in Status or thing == "replica" else ""
    with transaction.atomic():
        record("verb" if status else said, migration=move, to_status=status)
    deliver_all()
    message = OutboxMessage.objects.get()
    assert message.type == kind
    assert message.payload
    assert _HAPPENED[said] in message.payload["data"]["headline"]
    assert message.payload["data"]["what_is_safe"]
    assert "{" not in as_mail(message.payload).text


def test_past_the_pivot_nobody_is_told_to_abort(shop: App, subscribe: Subscribe) -> None:
    subscribe()
    move = on_paper.move(shop, status=Status.RUNNING, pivot_at=Now())
    change_status(move, Status.HELD, verb="hold")
    deliver_all()
    payload = OutboxMessage.objects.get().payload
    assert payload
    assert payload["data"]["what_is_safe"] == "shop is served from eu-west-1. Safe: retry it, or reverse it."
