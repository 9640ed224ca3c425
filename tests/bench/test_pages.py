"""How fast the console's pages are, with years of moves on the books: 50 requests a second, each page by itself, then
all of them in turns.

BENCH_APPS, BENCH_MOVES, BENCH_EVENTS, BENCH_LIVE: how much is on the books. BENCH_REQUESTS: requests a second.
BENCH_SECONDS: how long each page is asked for. BENCH_PAGES: a regular expression; only pages whose name it finds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test import Client

from migrations_app.admin.listing import MOST_LISTED, Listed
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.states import ApprovalState, ReplicaState, Status
from portal.sandbox.paper import Wanted, fill
from tests.bench import report
from tests.bench.load import ask, drive, seen
from tests.bench.web import serving
from tests.people import establish_roles

pytestmark = pytest.mark.django_db(transaction=True)

WANTED = Wanted(
    *(
        int(os.environ.get(f"BENCH_{name.upper()}", getattr(Wanted, name)))
        for name in ("apps", "moves", "events", "live")
    )
)
RATE = float(os.environ.get("BENCH_REQUESTS", "50"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
PAGES = re.compile(os.environ.get("BENCH_PAGES", ""))
WHO = "admin-1"
_SEVERAL = 20
"""So many things of a kind are looked at in turns."""


@pytest.fixture
def portal() -> Iterator[str]:
    """The address of the portal on the filled books."""
    establish_roles()
    began = time.monotonic()
    counts = fill(WANTED, say=print)
    print(f"Filled in {time.monotonic() - began:.0f} s: {counts}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # what a million new rows leave to be done is no page's fault
    with serving() as address:
        yield address


def _several(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.order_by("pk").values_list("pk", flat=True)[:_SEVERAL])


def _last_page(rows: int) -> int:
    return min(rows, MOST_LISTED) // Listed.list_per_page


def pages() -> dict[str, list[str]]:
    """By name, the addresses of a page; of a fragment the name says so."""
    base = "/admin/migrations_app"
    moves = {status: _several(AppMigration.objects.filter(status=status)) for status in Status}
    slugs = list(App.objects.filter(pk__in=_several(App.objects.all())).values_list("slug", flat=True))
    waiting = _several(AppMigration.objects.filter(approvals__state=ApprovalState.OPEN, status=Status.COMPLETED))

    def of(model: str, keys: list[Any], page: str = "change/") -> list[str]:
        return [f"{base}/{model}/{key}/{page}" for key in keys]

    return {
        "Overview": ["/admin/"],
        "Overview, fragments that have changed": ["/admin/live/?cursor="],
        "Moves": [f"{base}/appmigration/"],
        "Moves, the last page": [f"{base}/appmigration/?p={_last_page(WANTED.moves)}"],
        "Moves, held": [f"{base}/appmigration/?status__exact=held"],
        "Moves, of a team": [f"{base}/appmigration/?app__owner__id__exact={App.objects.earliest('pk').owner_id}"],
        "Moves, searched for an app": [f"{base}/appmigration/?q={slug}" for slug in slugs],
        "Moves, searched for a word": [f"{base}/appmigration/?q=continent"],
        "A move, running": of("appmigration", moves[Status.RUNNING]),
        "A move, running, fragments that have changed": of("appmigration", moves[Status.RUNNING], "live/?cursor="),
        "A move, held": of("appmigration", moves[Status.HELD]),
        "A move, completed": of("appmigration", moves[Status.COMPLETED]),
        "New move": ["/admin/new-move/", *(f"/admin/new-move/?app={slug}" for slug in slugs)],
        "New move, fragment: where to": [f"/admin/new-move/where/?app={slug}" for slug in slugs],
        "Abort?": of("appmigration", moves[Status.RUNNING], "abort/"),
        "Reject a teardown?": of("appmigration", waiting, "reject/"),
        "Approvals": [f"{base}/approval/"],
        "Approvals, all": [f"{base}/approval/?state=all"],
        "Replicas": [f"{base}/sourcereplica/"],
        "Replicas, retained": [f"{base}/sourcereplica/?state__exact=retained"],
        "A replica": of("sourcereplica", _several(SourceReplica.objects.filter(state=ReplicaState.RETAINED))),
        "Apps": [f"{base}/app/"],
        "Apps, searched": [f"{base}/app/?q={slug}" for slug in slugs],
        "An app": of("app", _several(App.objects.all())),
        "Regions": [f"{base}/region/"],
        "A region": of("region", _several(Region.objects.exclude(apps=None))),
        "Alarms": [f"{base}/alarm/"],
        "Audit": [f"{base}/auditevent/"],
        "Audit, by verb": [f"{base}/auditevent/?verb=hold"],
        "Audit, the last page": [f"{base}/auditevent/?p={_last_page(WANTED.events)}"],
        "Audit, searched for an app": [f"{base}/auditevent/?q={slug}" for slug in slugs],
        "Audit, searched for a word": [f"{base}/auditevent/?q=duplicate", f"{base}/auditevent/?q=continent"],
        "An event": of("auditevent", _several(AuditEvent.objects.filter(number=3))),
        "People": ["/admin/auth/user/"],
    }


def test_pages(portal: str) -> None:
    person = User.objects.get(username=WHO)
    client = Client()
    client.force_login(person)
    assert client.session[SESSION_KEY] == str(person.pk)
    headers = [{"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())}]
    asked = {name: urls for name, urls in pages().items() if PAGES.search(name)}
    rows: dict[str, report.Row] = {}
    for name, urls in asked.items():
        assert urls, name
        drive(portal, urls, headers=headers, rate=RATE / 5, seconds=2)  # templates and connections are made once
        alone = drive(portal, urls, headers=headers, rate=RATE, seconds=SECONDS)
        assert alone.failed == 0, f"{name}: {alone.failed} of {alone.requests} failed"
        print(f"{name}: {alone}")
        rows[name] = {"page": name, **vars(alone)}
    rounds = round(SECONDS * RATE / 5)
    in_turns = [(name, urls[number % len(urls)]) for number in range(rounds) for name, urls in asked.items()]
    answers = ask(portal, in_turns, headers=headers, rate=RATE)
    for name, row in rows.items():
        among = seen([answer for answer in answers if answer.name == name])
        assert among.failed == 0, f"{name}: {among.failed} of {among.requests} failed"
        row |= {"in_turns_p50": among.p50, "in_turns_p95": among.p95}
    wanted = {name: getattr(WANTED, name) for name in ("apps", "moves", "events", "live")}
    report.add("pages", list(rows.values()), requests_a_second=RATE, seconds=SECONDS, **wanted)
