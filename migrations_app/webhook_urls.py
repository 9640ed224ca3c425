"""The URLs that subscriptions go by name: those that are secrets themselves. They are in a file, never in the database.

A line each: `name = https://…`; what begins with # is a comment. The file is read anew each time: an edit counts at
once.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from migrations_app.channels import url_problem
from migrations_app.errors import TransientError


def url_of(target: str) -> str:
    """The URL that a subscription's target is, or names. TransientError: somebody may correct the file meanwhile."""
    if "/" in target:
        return target
    url = _named().get(target)
    if url is None:
        raise TransientError(
            f"There is no URL under the name {target}.",
            hint="Put a line `name = URL` into the file that MOVES_WEBHOOK_URLS_FILE names.",
            code="unknown_webhook_url",
        )
    if problem := url_problem(url):
        raise TransientError(
            f"What MOVES_WEBHOOK_URLS_FILE has under the name {target} cannot be used: {problem.reason}",
            hint=problem.hint,
            code="unusable_webhook_url",
        )
    return url


def _named() -> dict[str, str]:
    path = settings.MOVES_WEBHOOK_URLS_FILE
    if not path:
        return {}
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TransientError(
            f"The file that MOVES_WEBHOOK_URLS_FILE names cannot be read ({type(error).__name__}).",
            hint="It has to be there, as text, and readable by the portal's user.",
            code="webhook_urls_unreadable",
        ) from error
    entries = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): url.strip() for name, _, url in entries}
