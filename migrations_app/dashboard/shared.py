"""What all see alike who see the same teams, made once for all of them. Whichever process makes it, Redis keeps it for
the others; signed, so that whoever writes Redis has no say in what stands on a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import redis
from django.conf import settings
from django.core import signing

from migrations_app import quick_redis

Made = TypeVar("Made")

PREFIX = "shared-"
"""Of the keys in Redis."""
_NEVER_OLDER_SECONDS = 300
"""Whatever Redis says of its age, and however far the clocks of machines are apart."""


class _Kept(NamedTuple):
    """`young_until`, by this process's clock: then it is as old as MOVES_OVERVIEW_SECONDS. Redis keeps it for twice as
    long."""

    value: Any
    young_until: float

    @property
    def is_young(self) -> bool:
        return time.monotonic() < self.young_until


_here: dict[str, _Kept] = {}
"""What this process has read last: it need not ask Redis again before that is old."""
_MOST_HERE = 100


def shared(key: str, make: Callable[[], Made]) -> Made:
    """What `make` made under this key in the last MOVES_OVERVIEW_SECONDS, or makes now: however many people look, the
    database is asked once. While one request makes it anew, the others take what there was. Lists, numbers and texts,
    as JSON has them; nobody changes them."""
    milliseconds = round(1000 * settings.MOVES_OVERVIEW_SECONDS)
    if not milliseconds:
        return make()
    name = f"{PREFIX}{key}"
    kept = _here.get(name)
    if kept is None or not kept.is_young:
        kept = quick_redis.ask(lambda store: _read(store, name, milliseconds))
    if kept and (kept.is_young or not quick_redis.ask(lambda store: _is_ours(store, name, milliseconds))):
        value: Made = kept.value
        return value
    made = make()
    quick_redis.ask(lambda store: store.set(name, signing.dumps(made, salt=name), px=2 * milliseconds))
    return made


def _read(store: redis.Redis, name: str, milliseconds: int) -> _Kept | None:
    asking = store.pipeline(transaction=False)
    asking.get(name)
    asking.pttl(name)
    signed, left = asking.execute()
    if not signed:
        return None
    try:
        value = signing.loads(signed.decode(errors="replace"), salt=name, max_age=_NEVER_OLDER_SECONDS)
    except signing.BadSignature:
        return None
    if len(_here) >= _MOST_HERE:
        _here.clear()
    _here[name] = _Kept(value, time.monotonic() + (left - milliseconds) / 1000)
    return _here[name]


def _is_ours(store: redis.Redis, name: str, milliseconds: int) -> bool:
    """Whether it is on this request to make it anew, and on no other for as long."""
    return bool(store.set(f"{name}-making", 1, nx=True, px=milliseconds))
