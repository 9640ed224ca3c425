"""Django's sessions in the database, read by a statement that is written out: every page asks it, and to make it of a
queryset takes longer than to answer it."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone

from migrations_app.prepared import prepared

_SESSION = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, Any]:
        with prepared() as cursor:
            cursor.execute(_SESSION, [self.session_key, timezone.now()])
            found = cursor.fetchone()
        if found is None:
            self._session_key = None  # it is over: as Django's own, it goes on under a new key
            return {}
        kept: dict[str, Any] = self.decode(found[0])
        return kept
