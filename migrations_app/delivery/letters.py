"""A message on its way: all that is needed to send it, so that the thread that does knows nothing of the database."""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.mail import EmailMessage

from migrations_app.channels import Channel
from migrations_app.delivery import signing
from migrations_app.delivery.http_post import post
from migrations_app.delivery.payload import as_mail, as_slack, as_webhook
from migrations_app.errors import TransientError
from migrations_app.models import OutboxMessage
from migrations_app.webhook_urls import url_of

log = structlog.get_logger()

_AGENT = "region-moves"


@dataclass(frozen=True)
class Letter:
    """`keys`: to sign with, of a webhook."""

    webhook_id: str
    channel: str
    target: str
    payload: dict[str, Any]
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of one try. `error` is empty when it was taken; `status` of an HTTP answer; `retry_after` in seconds,
    if the receiver asked for it."""

    error: str = ""
    status: int | None = None
    retry_after: float | None = None


def letter_for(message: OutboxMessage, now: datetime) -> Letter:
    """TransientError when nothing can sign it."""
    subscription = message.subscription
    keys = signing.keys_of(subscription, now) if subscription.channel == Channel.WEBHOOK else []
    return Letter(message.webhook_id, subscription.channel, subscription.target, message.payload or {}, tuple(keys))


def send(letter: Letter) -> Outcome:
    """One try. Whatever goes wrong with it is in the outcome."""
    try:
        return _by_mail(letter) if letter.channel == Channel.MAIL else _by_http(letter)
    except TransientError as error:
        return Outcome(str(error))
    except Exception as error:  # said of this message, whatever it is; the thread goes on
        log.exception("delivery.failed", message=letter.webhook_id)
        return Outcome(failed_here(error))


def failed_here(error: Exception) -> str:
    """What is said of an error that nobody foresaw. Its text may hold what is not to be told."""
    return f"The portal failed to send it ({type(error).__name__}); its log says more."


def _by_http(letter: Letter) -> Outcome:
    headers = {"Content-Type": "application/json", "User-Agent": _AGENT}
    if letter.channel == Channel.SLACK:
        body = as_slack(letter.payload)
    else:
        body = as_webhook(letter.webhook_id, letter.payload)
        headers |= signing.headers(letter.webhook_id, int(time.time()), body, list(letter.keys))
    answer = post(url_of(letter.target), body, headers)
    if 200 <= answer.status < 300:
        return Outcome(status=answer.status)
    said = f"The receiver answered {answer.status}"
    if 300 <= answer.status < 400:
        said += ", which leads elsewhere: redirects are not followed"
    return Outcome(f"{said}.", answer.status, answer.retry_after)


def _by_mail(letter: Letter) -> Outcome:
    if not settings.EMAIL_IS_SET:
        raise TransientError("EMAIL_URL is not set: no mail can be sent.", code="no_mail_server")
    mail = as_mail(letter.payload)
    host = urlsplit(settings.MOVES_PUBLIC_URL).hostname or "region-moves.invalid"
    headers = {"Message-ID": f"<{letter.webhook_id}@{host}>", "Auto-Submitted": "auto-generated"}
    try:
        EmailMessage(mail.subject, mail.text, to=[letter.target], headers=headers).send()
    except (OSError, smtplib.SMTPException) as error:
        raise TransientError(
            f"The mail server did not take it: {_why(error)}.", hint="See EMAIL_URL.", code="mail_not_taken"
        ) from error
    return Outcome()


def _why(error: Exception) -> str:
    """Without what the server said of the login: it may repeat it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "it refuses the address"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
