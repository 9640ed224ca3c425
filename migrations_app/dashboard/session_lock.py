"""A session is read at the start of a request and written at its end, whole: of two at once, one forgets what the other
wrote. What must not be forgotten is written in here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.models import Session
from django.db import transaction


@contextmanager
def kept(session: SessionBase) -> Iterator[None]:
    """The session as it is on the books now, for this request alone until it is written. What the request changed
    before is dropped. SessionInterrupted if it ended meanwhile."""
    with transaction.atomic():
        if not Session.objects.select_for_update().filter(session_key=session.session_key).exists():
            raise SessionInterrupted("The session ended meanwhile.")
        session._session_cache = session.load()  # type: ignore[attr-defined]
        yield
        session.save()
    session.modified = False  # written once, and not again at the end, over what others write meanwhile
