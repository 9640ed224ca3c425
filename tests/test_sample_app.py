"""What a move relies on in the guest book, on real servers."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from supervisor.options import ServerOptions

from migrations_app.dataplane import blobs, runtime
from migrations_app.errors import InvalidInput
from portal.sandbox.sample_app import program
from portal.sandbox.sample_app.deploy import deploy, undeploy
from portal.sandbox.sample_app.pictures import png
from tests.guestbook import PICTURES, ROWS, GuestBook, deployed


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestBook]:
    with deployed(tmp_path_factory.mktemp("secrets")) as book:
        yield book


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def ask(url: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Any]:
    """(status, JSON or bytes); POST when there is a body."""
    request = urllib.request.Request(url, body, {"Content-Type": kind} if body is not None else {})  # noqa: S310
    try:
        answer = _opener.open(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        content = answer.read()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(content) if is_json else content


def write(book: GuestBook, *, picture: bytes | None = None, **fields: object) -> tuple[int, Any]:
    entry = {"author": "Ada", "message": "Hello.", "key": str(uuid.uuid4()), **fields}
    if picture is not None:
        entry["picture"] = base64.b64encode(picture).decode()
    return ask(f"{book.url}/entries", json.dumps(entry).encode())


def rows_of(book: GuestBook, key: str) -> int:
    return int(book.sql("SELECT count(*) FROM entries WHERE key = %s", key)[0][0])


def test_it_is_deployed_with_its_rows_and_pictures(guestbook: GuestBook) -> None:
    assert ask(f"{guestbook.url}/healthz") == (200, {"status": "ok", "region": guestbook.target.slug})
    _, listed = ask(f"{guestbook.url}/entries?limit=10")
    assert [len(entry["pictures"]) for entry in listed["entries"]] == [1] * PICTURES + [0] * (10 - PICTURES)
    assert ask(f"{guestbook.url}/pictures/seed-0001.png") == (200, png("seed-0001.png"))
    status, page = ask(f"{guestbook.url}/")
    assert status == 200
    assert guestbook.target.slug.encode() in page
    assert b"/pictures/seed-0001.png" in page
    assert guestbook.sql("SELECT count(*) FROM entries WHERE key LIKE 'seed-%%'") == [(ROWS,)]


def test_deploying_again_changes_nothing(guestbook: GuestBook) -> None:
    before = guestbook.sql("SELECT max(id) FROM entries")
    again = deploy(guestbook.target, port=guestbook.port, secrets=guestbook.secrets, name=guestbook.name, rows=9)
    assert (again.created, again.url) == (False, guestbook.url)
    assert guestbook.sql("SELECT max(id) FROM entries") == before


def test_the_database_belongs_to_the_apps_own_role(guestbook: GuestBook) -> None:
    assert guestbook.sql(
        "SELECT pg_get_userbyid(datdba), (SELECT rolpassword FROM pg_authid WHERE oid = datdba) LIKE 'SCRAM-SHA-256$%%'"
        " FROM pg_database WHERE datname = current_database()"
    ) == [(guestbook.name, True)]
    assert guestbook.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == [(guestbook.name,)]


def test_a_write_is_there_when_it_is_answered(guestbook: GuestBook) -> None:
    picture = png("mine")
    status, created = write(guestbook, author="Zoë <b>", message="It's 100 % “good”", picture=picture)
    assert status == 201
    assert rows_of(guestbook, created["key"]) == 1
    _, entry = ask(f"{guestbook.url}/entries/{created['id']}")
    assert (entry["author"], entry["message"]) == ("Zoë <b>", "It's 100 % “good”")
    assert entry["details"]["region"] == guestbook.target.slug
    assert entry["pictures"] == [created["picture"]]
    assert ask(f"{guestbook.url}/pictures/{created['picture']}") == (200, picture)
    assert b"Zo\xc3\xab &lt;b&gt;" in ask(f"{guestbook.url}/")[1]


def test_an_author_is_kept_once_and_counted(guestbook: GuestBook) -> None:
    for author in ("Grace Hopper", "grace hopper", "GRACE HOPPER"):
        assert write(guestbook, author=author)[0] == 201
    found = guestbook.sql("SELECT name, entries_count FROM authors WHERE lower(name) = 'grace hopper'")
    assert found == [("Grace Hopper", 3)]
    assert guestbook.sql(
        "SELECT bool_and(entries_count = (SELECT count(*) FROM entries WHERE author_id = a.id)) FROM authors a"
    ) == [(True,)]


def test_the_form_of_the_page_works_with_a_picture_of_any_bytes(guestbook: GuestBook) -> None:
    picture = png("form") + b"\r\n--\r\r\n\x00\xff" + bytes(range(256))
    key = str(uuid.uuid4())
    fields = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"author": "Jörg", "message": "Line\r\nLine", "key": key}.items()
    )
    file = (
        '--xyz\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = (fields + file).encode() + picture + b"\r\n--xyz--\r\n"
    status, created = ask(f"{guestbook.url}/entries", body, "multipart/form-data; boundary=xyz")
    assert (status, created["key"]) == (303, key)
    assert ask(f"{guestbook.url}/pictures/{created['picture']}") == (200, picture)
    plain = urlencode({"author": "Jörg", "message": "No picture"}).encode()
    assert ask(f"{guestbook.url}/entries", plain, "application/x-www-form-urlencoded")[0] == 303


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"{"),
        (400, b"[]"),
        (400, b'{"author": "A"}'),
        (400, b'{"author": " ", "message": "m"}'),
        (400, b'{"author": 5, "message": "m"}'),
        (400, b'{"author": "A", "message": "a\\u0000b"}'),
        (400, b'{"author": "A", "message": "m", "picture": "%%%"}'),
        (400, b'{"author": "A", "message": "m", "picture": "aGVsbG8="}'),
        (413, b'"' + b"x" * 3_000_000 + b'"'),
    ],
)
def test_what_cannot_be_an_entry_is_refused(guestbook: GuestBook, status: int, body: bytes) -> None:
    before = guestbook.sql("SELECT count(*) FROM entries")
    assert ask(f"{guestbook.url}/entries", body)[0] == status
    assert guestbook.sql("SELECT count(*) FROM entries") == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/entries?limit=0", 400),
        ("/entries?limit=501", 400),
        ("/entries?limit=x", 400),
        ("/entries/999999999", 404),
        ("/entries/9999999999999999999999", 404),
        ("/pictures/none.png", 404),
        ("/pictures/..%2fapp.py", 404),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_not_found(guestbook: GuestBook, path: str, status: int) -> None:
    assert ask(guestbook.url + path)[0] == status


def test_reads_go_on_while_the_database_is_read_only(guestbook: GuestBook) -> None:
    name = psycopg.sql.Identifier(guestbook.name)
    with guestbook.admin() as admin:
        admin.execute(psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    try:
        assert guestbook.end_sessions() > 0
        key = str(uuid.uuid4())
        pictures_before = blobs.totals(guestbook.bucket).count
        assert write(guestbook, key=key, picture=png("late")) == (503, {"error": "read_only"})
        assert blobs.totals(guestbook.bucket).count == pictures_before
        assert [ask(guestbook.url + path)[0] for path in ("/", "/entries", "/healthz")] == [200] * 3
    finally:
        with guestbook.admin() as admin:
            admin.execute(psycopg.sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
        guestbook.end_sessions()
    assert rows_of(guestbook, key) == 0
    assert write(guestbook)[0] == 201


def test_sessions_ended_by_the_server_are_replaced(guestbook: GuestBook) -> None:
    for _ in range(3):
        assert guestbook.end_sessions() > 0
        assert ask(f"{guestbook.url}/entries")[0] == 200
        assert guestbook.end_sessions() > 0
        assert write(guestbook)[0] == 201


def test_a_read_whose_session_is_ended_under_it_is_tried_again(guestbook: GuestBook) -> None:
    with guestbook.blocked(lambda: ask(f"{guestbook.url}/entries?limit=5")) as results:
        assert guestbook.end_sessions("wait_event_type = 'Lock'") == 1
    assert results[0][0] == 200


def test_a_write_whose_session_is_ended_under_it_is_not_acknowledged_and_not_tried_again(guestbook: GuestBook) -> None:
    key = str(uuid.uuid4())
    with guestbook.blocked(lambda: write(guestbook, key=key)) as results:
        assert guestbook.end_sessions("wait_event_type = 'Lock'") == 1
    assert results[0][0] == 500
    assert rows_of(guestbook, key) == 0


def test_requests_in_flight_are_finished_on_sigterm(guestbook: GuestBook) -> None:
    key = str(uuid.uuid4())
    with guestbook.blocked(lambda: write(guestbook, key=key)) as results:
        runtime.stop(guestbook.host, guestbook.name, wait=False)
    assert results[0][0] == 201
    assert rows_of(guestbook, key) == 1
    runtime.stop(guestbook.host, guestbook.name)
    runtime.start(guestbook.host, guestbook.name)
    runtime.wait_healthy(f"{guestbook.url}/healthz", deadline_seconds=20)


def test_without_its_bucket_it_is_unhealthy_and_acknowledges_no_picture(guestbook: GuestBook) -> None:
    kept = f"{guestbook.target.blobs}{guestbook.name}-kept"
    blobs.sync(guestbook.bucket, kept)
    blobs.purge(guestbook.bucket)
    try:
        key = str(uuid.uuid4())
        assert write(guestbook, key=key, picture=png("lost")) == (503, {"error": "pictures_unavailable"})
        assert rows_of(guestbook, key) == 0
        assert ask(f"{guestbook.url}/healthz")[0] == 503
    finally:
        blobs.sync(kept, guestbook.bucket)
        blobs.purge(kept)
    assert ask(f"{guestbook.url}/healthz")[0] == 200


def test_without_its_tables_it_is_unhealthy(guestbook: GuestBook) -> None:
    guestbook.sql("ALTER TABLE entries RENAME TO entries_away")
    try:
        status, answer = ask(f"{guestbook.url}/healthz")
        assert (status, answer["error"]) == (503, "database_unavailable")
    finally:
        guestbook.sql("ALTER TABLE entries_away RENAME TO entries")


def test_undeploying_leaves_nothing_and_minds_nothing(guestbook: GuestBook) -> None:
    name = f"{guestbook.name}b"
    target = guestbook.target
    deploy(target, port=guestbook.port, secrets=guestbook.secrets, name=name, rows=3, pictures=1, start=False)
    for _ in range(2):
        undeploy(target, name=name)
        assert not list(target.programs.glob(f"*{name}*"))
        assert not blobs.exists(f"{target.blobs}{name}")
        assert guestbook.sql("SELECT 1 FROM pg_database WHERE datname = %s", name) == []
        assert guestbook.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", name) == []


def test_a_deployment_cut_short_is_carried_on(guestbook: GuestBook) -> None:
    name = f"{guestbook.name}c"
    target = guestbook.target

    def redeploy() -> bool:
        return deploy(
            target, port=guestbook.port, secrets=guestbook.secrets, name=name, rows=3, pictures=1, start=False
        ).created

    try:
        assert redeploy()
        (target.programs / f"{name}.conf").unlink()
        assert redeploy()
        assert not redeploy()
        with psycopg.connect(target.database, dbname=name) as admin:
            assert admin.execute("SELECT count(*) FROM entries").fetchone() == (3,)
    finally:
        undeploy(target, name=name)


def test_supervisord_reads_back_what_a_definition_means(tmp_path: Any) -> None:
    command = ["/a b/python", "-m", "gunicorn", "100%"]
    environment = {"PASSWORD": "50%(x)s,a=b;c", "FOLDER": "/my programs/x"}
    definition = program.render("gb", command=command, directory=tmp_path / "a b%", environment=environment)
    (tmp_path / "s.conf").write_text(f"[supervisord]\n{definition}")
    (tmp_path / "a b%").mkdir()
    options = ServerOptions()
    options.realize(["-n", "-c", str(tmp_path / "s.conf")])
    (group,) = options.process_group_configs
    (read,) = group.process_configs
    assert read.environment == environment
    assert read.directory == str(tmp_path / "a b%")
    assert shlex.split(read.command) == command


@pytest.mark.parametrize("value", ['a"b', "a'b", "a\nb", "a ;b", "a #b", "a\\b"])
def test_what_supervisord_cannot_read_is_refused(tmp_path: Any, value: str) -> None:
    with pytest.raises(InvalidInput):
        program.render("gb", command=["x"], directory=tmp_path, environment={"A": value})
