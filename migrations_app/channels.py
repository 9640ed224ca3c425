"""The ways a subscription is told, and what its target may look like: an address that holds no secret. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import TextChoices

from migrations_app.errors import Blocker


class Channel(TextChoices):
    WEBHOOK = "webhook", "Webhook"
    SLACK = "slack", "Slack, or what takes its JSON"
    MAIL = "mail", "Mail"


SECRET_IN_URL = r"://[^/]*@|[?#]|/(?=[A-Za-z_-]*[0-9A-Z])[A-Za-z0-9_-]{20,}(/|$)"  # noqa: S105 — the pattern that finds one
"""A login, a query or fragment, or a part of the path that is long and looks drawn by lot."""

_NAME = r"[a-z][a-z0-9-]{0,39}"
_USE_A_NAME = "Put it into the file that MOVES_WEBHOOK_URLS_FILE names, under a name, and give that name here."


def target_problem(channel: str, target: str) -> Blocker | None:
    """What is wrong with where a subscription would be told, if anything."""
    if channel == Channel.MAIL:
        return _mail_problem(target)
    if re.fullmatch(_NAME, target):
        return None
    if channel == Channel.SLACK:
        return Blocker("invalid_target", "The URL of a Slack webhook is a secret.", _USE_A_NAME)
    if "/" not in target:
        return Blocker(
            "invalid_target",
            f"{target} is neither a URL nor the name of one.",
            "Give https://…, or a name of 1 to 40 of a-z, 0-9 and '-' that begins with a letter.",
        )
    if re.search(SECRET_IN_URL, target):
        return Blocker("secret_in_url", "The URL carries a login, a query or what looks like a token.", _USE_A_NAME)
    return url_problem(target)


def url_problem(url: str) -> Blocker | None:
    """Whether something can be posted there at all; the answer does not repeat the URL, which may be a secret."""
    try:
        parts = urlsplit(url)
        usable = (
            re.fullmatch(r"[!-~]+", url)
            and "\\" not in url
            and parts.scheme in ("http", "https")
            and parts.hostname
            and parts.username is None
            and parts.port != 0
        )
    except ValueError:  # brackets without an IPv6 address, or a port that is no number
        usable = False
    if not usable:
        return Blocker(
            "invalid_url", "It is no URL that can be posted to.", "Give https://host/path in ASCII, without a login."
        )
    return None


def _mail_problem(target: str) -> Blocker | None:
    try:
        validate_email(target)
    except ValidationError:
        return Blocker("invalid_target", f"{target} is no mail address.", "Give one, such as oncall@example.com.")
    return None
