"""The same request with the same key is done once, and answered the same.

What a request does and what it was answered are kept in one transaction: if the portal dies on the way, neither is
there, and the next try does it. A lock that goes with the transaction tells that a request is under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from migrations_app.api import answers
from migrations_app.errors import InvalidInput
from migrations_app.models import ApiToken, KeptAnswer
from migrations_app.models.kept_answer import LONGEST_KEY

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(hours=24)

_LOCKS = int.from_bytes(b"idem")
"""Keeps clear of other advisory locks."""


def once(request: HttpRequest, token: ApiToken, run: Callable[[], HttpResponse]) -> HttpResponse:
    """The answer to the request: what it was answered before, or what `run` answers. Raises InvalidInput for a key that
    cannot be meant."""
    key = request.headers[HEADER]
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(
            f"{HEADER}: 1 to {LONGEST_KEY} printable ASCII characters.",
            hint="A UUID is a good one.",
            code="invalid_idempotency_key",
        )
    said = _fingerprint(request)
    with transaction.atomic():
        if not _locked(token, key):
            return answers.error(
                409,
                "in_progress",
                f"A request with this {HEADER} is under way.",
                "Ask again with the same key: the answer is the same.",
                retry_after=1,
            )
        mine = KeptAnswer.objects.filter(token=token, key=key)
        before = mine.filter(kept_at__gt=Now() - KEPT_FOR).first()
        if before:
            return _again(before, said)
        mine.delete()
        answer = run()
        if answer.status_code >= 400 and (answer.status_code >= 500 or "Retry-After" in answer.headers):
            transaction.set_rollback(True)  # passing: the next try may go well
            return answer
        KeptAnswer.objects.create(
            token=token, key=key, request=said, status=answer.status_code, body=answer.content.decode()
        )
    _forget_old_ones()
    return answer


def _again(before: KeptAnswer, said: str) -> HttpResponse:
    if before.request != said:
        return answers.error(
            422,
            "key_reused",
            f"{HEADER} was used for another request.",
            "Take a new key for each act, and the same one to repeat it.",
        )
    headers = {"Idempotent-Replayed": "true"}
    return HttpResponse(before.body, status=before.status, content_type="application/json", headers=headers)


def _fingerprint(request: HttpRequest) -> str:
    parts = (str(request.method).encode(), request.get_full_path().encode(), request.body)
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _locked(token: ApiToken, key: str) -> bool:
    """Until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, f"{token.pk} {key}"])
        got: bool = cursor.fetchone()[0]
    return got


def _forget_old_ones() -> None:
    """Those that somebody asks for just now are left to the next time."""
    old = KeptAnswer.objects.filter(kept_at__lte=Now() - KEPT_FOR).select_for_update(skip_locked=True)
    KeptAnswer.objects.filter(pk__in=old.values("pk")).delete()
