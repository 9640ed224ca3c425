"""Sessions, read by one statement: what Django's own says of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore as DjangoStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from portal.sessions import SessionStore

pytestmark = pytest.mark.django_db


def test_what_was_kept_is_read_by_one_question(django_assert_num_queries: Any) -> None:
    kept = SessionStore()
    kept["who"] = "ann"
    kept.save()
    with django_assert_num_queries(1):
        assert SessionStore(kept.session_key).load() == {"who": "ann"}
    assert DjangoStore(kept.session_key).load() == {"who": "ann"}


def test_one_that_is_over_or_unknown_is_empty_and_gets_another_key() -> None:
    kept = SessionStore()
    kept["who"] = "ann"
    kept.save()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    for key in (kept.session_key, "a" * 32):
        found = SessionStore(key)
        assert found.get("who") is None
        assert found.session_key is None
