"""The guest book: the app that the sandbox moves. Rows in PostgreSQL, pictures in S3.

It is deployed as this one file and knows nothing of the portal. What it promises, and a move relies on:

- A write is answered 201 only after its picture is stored and its transaction is committed. The picture is stored
  inside the transaction, so once no writer is left in the database none is left in the bucket either.
- A write is never tried twice. When its outcome is uncertain it is answered 500: not acknowledged.
- Reads write nothing, so they go on while the database is read-only; a read whose session was ended is tried once
  more. SIGTERM ends the process after the requests in flight (gunicorn's graceful time-out).
"""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import html
import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

log = logging.getLogger("guestbook")

T = TypeVar("T")
Connection = psycopg.Connection[DictRow]
Entry = dict[str, Any]

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_LIMIT = 500
PICTURE_NAME = re.compile(r"[a-z0-9-]{1,80}\.(png|jpg|gif)")
PICTURE_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}
CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif"}

READ_TRIES = 3

ENTRIES = """
    SELECT e.id, e.number, e.key, a.name AS author, e.message, e.details, e.created_at,
           ARRAY(SELECT p.name FROM entry_pictures p WHERE p.entry_id = e.id ORDER BY p.name) AS pictures
      FROM entries e JOIN authors a ON a.id = e.author_id
"""
ADD_ENTRY = """
    WITH author AS (
        INSERT INTO authors (name) VALUES (%(author)s)
        ON CONFLICT (lower(name)) DO UPDATE SET entries_count = authors.entries_count + 1, last_seen = now()
        RETURNING id
    )
    INSERT INTO entries (author_id, key, message, details)
    SELECT id, %(key)s, %(message)s, %(details)s FROM author
    RETURNING id
"""
ADD_PICTURE = "INSERT INTO entry_pictures (entry_id, name, content_type, size_bytes) VALUES (%s, %s, %s, %s)"


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: str
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A request that is answered with an error, and has changed nothing."""

    def __init__(self, status: str, error: str, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(error)
        self.answer = json_answer(status, {"error": error, **({"reason": reason} if reason else {})}, *headers)


@dataclass(frozen=True)
class NewEntry:
    """A write, checked."""

    author: str
    message: str
    key: str
    picture: bytes | None = None
    details: dict[str, str] = field(default_factory=dict)


class Bucket:
    """The pictures. The client is made at the first use: importing boto3 costs more than starting the app."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._made: Any = None
        self.name = environment["S3_BUCKET"]

    @property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        with self._lock:
            self._made = self._made or boto3.client(
                "s3",
                endpoint_url=self._environment["S3_ENDPOINT"],
                aws_access_key_id=self._environment["S3_ACCESS_KEY"],
                aws_secret_access_key=self._environment["S3_SECRET_KEY"],
                region_name=self._environment["REGION"],
                config=Config(
                    connect_timeout=3,
                    read_timeout=10,
                    retries={"mode": "standard", "max_attempts": 3},
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",  # not every S3 server knows the newer trailers
                    response_checksum_validation="when_required",
                ),
            )
        return self._made

    def put(self, name: str, content: bytes) -> None:
        self._call("put_object", Key=name, Body=content, ContentType=content_type(name))

    def get(self, name: str) -> bytes:
        return bytes(self._call("get_object", Key=name)["Body"].read())

    def check(self) -> None:
        self._call("list_objects_v2", MaxKeys=1)

    def _call(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(Bucket=self.name, **arguments)
        except ClientError as error:
            if operation == "get_object" and error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise Refusal("404 Not Found", "not_found") from None
            log.warning("%s: %s", operation, error)
        except BotoCoreError as error:
            log.warning("%s: %s", operation, error)
        raise Refusal("503 Service Unavailable", "pictures_unavailable", headers=(("Retry-After", "1"),))


class GuestBook:
    """The WSGI application."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.region = environment["REGION"]
        self.bucket = Bucket(environment)
        self.pool: ConnectionPool[Connection] = ConnectionPool(
            environment["DATABASE_URL"],
            connection_class=psycopg.Connection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": 5, "application_name": "guestbook"},
            check=self.check_session,
            min_size=1,
            max_size=8,
            timeout=10,
            reconnect_timeout=5,  # short: a database that comes back is found again within seconds
            open=True,
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        try:
            answer = self.route(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ)
        except Refusal as refusal:
            answer = refusal.answer
        except psycopg.errors.ReadOnlySqlTransaction:
            answer = Refusal("503 Service Unavailable", "read_only", headers=(("Retry-After", "1"),)).answer
        except PoolTimeout:  # no session, so nothing was sent
            answer = Refusal("503 Service Unavailable", "database_unavailable", headers=(("Retry-After", "1"),)).answer
        except psycopg.Error as error:
            log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            answer = json_answer("500 Internal Server Error", {"error": "database", "reason": type(error).__name__})
        start_response(
            answer.status,
            [
                ("Content-Type", answer.content_type),
                ("Content-Length", str(len(answer.body))),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Served-From", self.region),
                *answer.headers,
            ],
        )
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def route(self, method: str, path: str, environ: dict[str, Any]) -> Answer:
        match method, path.strip("/").split("/"):
            case "GET" | "HEAD", [""]:
                return self.page()
            case "GET" | "HEAD", ["healthz"]:
                return self.healthz()
            case "GET" | "HEAD", ["entries"]:
                return json_answer("200 OK", {"entries": self.latest(limit_of(environ.get("QUERY_STRING", "")))})
            case "GET" | "HEAD", ["entries", number] if number.isascii() and number.isdigit() and len(number) < 19:
                return json_answer("200 OK", self.entry(int(number)))
            case "GET" | "HEAD", ["pictures", name] if PICTURE_NAME.fullmatch(name):
                forever = ("Cache-Control", "public, max-age=31536000, immutable")
                return Answer("200 OK", self.bucket.get(name), content_type(name), (forever,))
            case "POST", ["entries"]:
                return self.post(environ)
            case _, ["" | "healthz" | "entries" | "pictures", *_] if method not in ("GET", "HEAD"):
                raise Refusal("405 Method Not Allowed", "method_not_allowed", headers=(("Allow", "GET, HEAD, POST"),))
        raise Refusal("404 Not Found", "not_found")

    def check_session(self, connection: Connection) -> None:
        """At every checkout: a session the server has ended is replaced, not handed out."""
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            self.pool.check()  # where one was ended all may have been: replaced together, not one wait after another
            raise

    # Reads

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read; again on a new session when one breaks under it, as it may when the server ends them all."""
        for _ in range(READ_TRIES - 1):
            try:
                with self.pool.connection() as connection:
                    return work(connection)
            except PoolTimeout:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.info("a read is tried again: %s", error)
        with self.pool.connection() as connection:
            return work(connection)

    def latest(self, limit: int) -> list[Entry]:
        return self.read(lambda c: c.execute(ENTRIES + "ORDER BY e.id DESC LIMIT %s", [limit]).fetchall())

    def entry(self, entry_id: int) -> Entry:
        found = self.read(lambda c: c.execute(ENTRIES + "WHERE e.id = %s", [entry_id]).fetchone())
        if found is None:
            raise Refusal("404 Not Found", "not_found")
        return found

    def healthz(self) -> Answer:
        try:
            self.read(lambda c: c.execute("SELECT id FROM entries LIMIT 1").fetchone())
        except psycopg.Error as error:
            reason = str(error).splitlines()[0]
            raise Refusal("503 Service Unavailable", "database_unavailable", reason) from error
        self.bucket.check()
        return json_answer("200 OK", {"status": "ok", "region": self.region})

    def page(self) -> Answer:
        entries = "".join(entry_html(entry) for entry in self.latest(30))
        body = PAGE.format(region=html.escape(self.region), entries=entries, key=uuid.uuid4())
        policy = ("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
                  "form-action 'self'; frame-ancestors 'none'; base-uri 'none'")  # fmt: skip
        return Answer("200 OK", body.encode(), "text/html; charset=utf-8", (policy,))

    # Writes

    def post(self, environ: dict[str, Any]) -> Answer:
        body = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise Refusal("413 Content Too Large", "too_large", f"A request has at most {MAX_BODY_BYTES} bytes.")
        kind = environ.get("CONTENT_TYPE", "")
        entry = checked(fields_of(kind, body), details={"region": self.region, "via": kind.partition(";")[0]})
        created = self.add(entry)
        if kind.startswith("application/json"):
            return json_answer("201 Created", created, ("Location", f"/entries/{created['id']}"))
        return json_answer("303 See Other", created, ("Location", "/"))

    def add(self, entry: NewEntry) -> dict[str, Any]:
        """Store one entry, once. Raises without a second try; the caller's answer is then not 2xx."""
        values = {
            "author": entry.author,
            "key": entry.key,
            "message": entry.message,
            "details": Jsonb(entry.details),
        }
        name = f"{uuid.uuid4()}.{picture_kind(entry.picture)}" if entry.picture else None
        with self.pool.connection() as connection, connection.transaction():
            row = connection.execute(ADD_ENTRY, values).fetchone()
            if row is None:
                raise psycopg.DataError("the insert returned no row")
            if entry.picture and name:
                connection.execute(ADD_PICTURE, [row["id"], name, content_type(name), len(entry.picture)])
                self.bucket.put(name, entry.picture)
        return {"id": row["id"], "key": entry.key, **({"picture": name} if name else {})}


def json_answer(status: str, value: object, *headers: tuple[str, str]) -> Answer:
    return Answer(status, json.dumps(value, default=lambda moment: moment.isoformat()).encode(), headers=headers)


def content_type(name: str) -> str:
    return CONTENT_TYPES[name.rsplit(".", 1)[-1]]


def limit_of(query: str) -> int:
    text = parse_qs(query).get("limit", ["20"])[-1]
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_LIMIT):
        raise Refusal("400 Bad Request", "invalid", f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(text)


def fields_of(kind: str, body: bytes) -> dict[str, Any]:
    """The fields of a JSON object, a form, or a form with a file; a picture as bytes."""
    try:
        if kind.startswith("application/json"):
            fields = json.loads(body)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            if fields.get("picture") is not None:
                fields["picture"] = base64.b64decode(fields["picture"], validate=True)
            return fields
        if kind.startswith("application/x-www-form-urlencoded"):
            return {name: values[-1] for name, values in parse_qs(body.decode()).items() if name != "picture"}
        if kind.startswith("multipart/form-data"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            files: Any = email.message_from_bytes(head + body, policy=email.policy.HTTP).get_payload()
            values = {f.get_param("name", header="content-disposition"): f.get_payload(decode=True) for f in files}
            return {name: value if name == "picture" else value.decode() for name, value in values.items()}
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise Refusal("400 Bad Request", "invalid", f"The body cannot be read: {error}") from None
    raise Refusal("415 Unsupported Media Type", "unsupported", "Send JSON or a form.")


def checked(fields: dict[str, Any], details: dict[str, str]) -> NewEntry:
    texts = {"author": 80, "message": 2000, "key": 200}
    values = {name: fields.get(name, "") for name in texts}
    values["key"] = values["key"] or str(uuid.uuid4())
    for name, longest in texts.items():
        value = values[name]
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= len(value) <= longest or "\0" in value:
            raise Refusal("400 Bad Request", "invalid", f"{name} is a text of 1 to {longest} characters.")
    picture = fields.get("picture") or None
    if picture and not picture_kind(picture):
        raise Refusal("400 Bad Request", "invalid", "picture is a PNG, JPEG or GIF.")
    return NewEntry(values["author"].strip(), values["message"], values["key"], picture, details)


def picture_kind(content: bytes) -> str:
    return next((kind for magic, kind in PICTURE_KINDS.items() if content.startswith(magic)), "")


def entry_html(entry: Entry) -> str:
    e = html.escape
    pictures = "".join(f'<img src="/pictures/{e(name)}" alt="" width="72" height="72">' for name in entry["pictures"])
    region = entry["details"].get("region")
    signed = f"no. {entry['number']} · {entry['created_at']:%-d %b %Y, %H:%M}" + (f" · {e(region)}" if region else "")
    return (
        f"<article>{pictures}<div><p>{e(entry['message'])}</p>"
        f"<footer><b>{e(entry['author'])}</b> · {signed}</footer></div></article>"
    )


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guest book</title>
<style>
  :root {{ color-scheme: light dark;
          --ink: #1d2733; --soft: #5d6873; --paper: #f5f3ee; --card: #fff; --accent: #0f6b5c }}
  @media (prefers-color-scheme: dark) {{
    :root {{ --ink: #e7e9ec; --soft: #98a3af; --paper: #15191e; --card: #1f252c; --accent: #5cc7b2 }}
  }}
  body {{ margin: 0 auto; max-width: 44rem; padding: 2rem 1rem 4rem; background: var(--paper); color: var(--ink);
         font: 1rem/1.5 system-ui, sans-serif }}
  header {{ display: flex; align-items: center; justify-content: space-between; gap: 1rem }}
  h1 {{ font: 600 2rem/1.2 Georgia, serif; margin: 0 }}
  .region {{ border: 1px solid var(--accent); color: var(--accent); border-radius: 99px; padding: .15rem .8rem }}
  form, article {{ background: var(--card); border-radius: 12px; padding: 1rem; margin-top: 1rem;
                  box-shadow: 0 1px 3px #0002 }}
  form {{ display: grid; gap: .7rem }}
  label {{ display: grid; gap: .2rem; color: var(--soft) }}
  input, textarea, button {{ font: inherit; color: inherit; padding: .5rem; border: 1px solid #8886; border-radius: 8px;
                            background: transparent }}
  button {{ background: var(--accent); color: var(--card); border: 0; justify-self: start; padding: .5rem 1.4rem }}
  article {{ display: flex; gap: 1rem; align-items: start }}
  article div {{ min-width: 0; overflow-wrap: anywhere }}
  article p {{ margin: 0 0 .4rem; white-space: pre-line }}
  article img {{ border-radius: 8px }}
  footer {{ color: var(--soft); font-size: .85rem }}
</style>
</head>
<body>
<header><h1>Guest book</h1><span class="region">served from {region}</span></header>
<form method="post" action="/entries" enctype="multipart/form-data">
  <input type="hidden" name="key" value="{key}">
  <label>Your name <input name="author" required maxlength="80" autocomplete="name"></label>
  <label>Your message <textarea name="message" required maxlength="2000" rows="3"></textarea></label>
  <label>A picture, if you like <input type="file" name="picture" accept="image/png,image/jpeg,image/gif"></label>
  <button>Sign the book</button>
</form>
<main>{entries}</main>
</body>
</html>
"""

application = GuestBook(dict(os.environ))
