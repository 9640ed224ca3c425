"""Where the portal posts to, and where never: whatever a URL calls it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import time_machine

from migrations_app.delivery.addresses import permitted
from migrations_app.delivery.http_post import MOST_READ, _retry_after, post
from migrations_app.errors import TransientError
from tests.outbox.receivers import Receiver, receiving


def refused(url: str, **kwargs: Any) -> str:
    """The code of what keeps it from being sent."""
    with pytest.raises(TransientError) as refusal:
        post(url, b"{}", {}, **kwargs)
    assert "secret" not in str(refusal.value)
    return refusal.value.code


def resolves_to(monkeypatch: pytest.MonkeyPatch, *ips: str) -> list[str]:
    """Stands in for a name server that says one address after the other; the names that it was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        ip = ips[min(len(asked), len(ips)) - 1]
        return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0", "localhost", "10.0.0.1",
        "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]",
        "[ff02::1]",
    ],
)  # fmt: skip
def test_what_is_not_public_is_not_posted_to(host: str, settings: Any) -> None:
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = []
    for scheme in ("http", "https"):
        assert refused(f"{scheme}://{host}/secret") == "address_not_allowed"


@pytest.mark.parametrize("ip", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111"])
def test_what_is_public_is_posted_to_by_https_alone(ip: str, settings: Any) -> None:
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = []
    assert [address[0] for _, address in permitted(ip, 443, is_encrypted=True)] == [ip]
    with pytest.raises(TransientError) as refusal:
        permitted(ip, 80, is_encrypted=False)
    assert refusal.value.code == "not_encrypted"


def test_what_the_settings_allow_is_posted_to(settings: Any, receiver: Receiver) -> None:
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.1/32")]
    assert post(receiver.url, b"{}", {"X-Test": "yes"}).status == 200
    assert receiver.requests[0].headers["x-test"] == "yes"
    assert refused("http://127.0.0.2/secret") == "address_not_allowed"
    mapped = receiver.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")
    assert post(mapped, b"{}", {}).status == 200


def test_a_name_is_judged_by_every_address_it_has(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = []
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    assert refused("https://shop.example/secret") == "address_not_allowed"


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, settings: Any, receiver: Receiver
) -> None:
    """A name server that answers 127.0.0.2 at first, and the receiver's address when asked again."""
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.2/32")]
    asked = resolves_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    assert refused(receiver.url.replace("127.0.0.1", "rebinding.example")) == "receiver_away"
    assert asked == ["rebinding.example"]
    assert receiver.requests == []


def test_a_name_that_nobody_knows_is_said_to_be_one() -> None:
    assert refused("https://no-such-name.invalid/secret") == "name_not_resolved"


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://shop.example/secret", "https://", "https://u:p@shop.example/secret", "https://shop.example:0/secret",
        "https://shop.example:x/secret", "https://shop.example/secret\r\nX: 1", "https://shop.example/ secret",
        "https://[::1/secret", "https://shöp.example/secret", "https://shop.example\\@127.0.0.1/secret", "//x/secret",
    ],
)  # fmt: skip
def test_what_is_no_url_is_not_posted_to(url: str) -> None:
    assert refused(url) == "invalid_url"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0), ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0), ("", None),
     ("-1", None), ("1e9", None), ("never", None), ("Mon, 99 Foo 99999 00:00:00 GMT", None)],
)  # fmt: skip
def test_how_long_to_wait_may_be_said_in_two_ways(said: str, seconds: float | None) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        assert _retry_after(said) == seconds


# -- receivers that misbehave ------------------------------------------------------------------------------------------


@pytest.fixture
def rude() -> Iterator[Any]:
    """A server that says what it is given, piece by piece, for as long as somebody listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    pieces: list[bytes] = []
    over = threading.Event()
    sent = [0]

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            client.recv(65536)
            try:
                for piece in pieces:
                    client.sendall(piece)
                    sent[0] += len(piece)
                while len(pieces) == 1 and not over.wait(0.02):
                    client.sendall(b"x")
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret", pieces, sent
    over.set()
    listener.close()
    thread.join(5)


def test_who_answers_byte_by_byte_is_cut_off(rude: Any) -> None:
    url, pieces, _ = rude
    pieces.append(b"HTTP/1.1 2")
    assert refused(url, whole_seconds=0.3) == "receiver_too_slow"


def test_the_status_counts_whatever_the_body_does(rude: Any) -> None:
    url, pieces, _ = rude
    pieces.append(b"HTTP/1.1 204 No Content\r\nContent-Length: 99999999\r\n\r\n")
    assert post(url, b"{}", {}, whole_seconds=0.3).status == 204


def test_no_more_is_read_than_needed(rude: Any) -> None:
    url, pieces, sent = rude
    pieces += [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * MOST_READ] * 1000]
    assert post(url, b"{}", {}).status == 200
    assert sent[0] < 500 * MOST_READ  # what lies in the buffers of two sockets, and no more


def test_what_is_no_http_is_no_answer(rude: Any) -> None:
    url, pieces, _ = rude
    pieces += [b"+OK this is not the web\r\n", b"\r\n"]
    assert refused(url) == "receiver_away"


# -- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver under TLS, whose certificate is for hooks.test."""
    openssl = shutil.which("openssl")
    assert openssl
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=hooks.test"),
            *("-addext", "subjectAltName=DNS:hooks.test"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    resolves_to(monkeypatch, "127.0.0.1")
    with receiving(wrap=lambda plain: context.wrap_socket(plain, server_side=True)) as receiver:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        yield receiver


def test_the_certificate_has_to_be_the_names(certified: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(certified.url.replace("127.0.0.1", "hooks.test"), b"{}", {}).status == 200
    assert certified.requests[0].headers["host"].startswith("hooks.test:")
    assert refused(certified.url.replace("127.0.0.1", "other.test")) == "certificate_refused"
    monkeypatch.delenv("SSL_CERT_FILE")
    assert refused(certified.url.replace("127.0.0.1", "hooks.test")) == "certificate_refused"
    assert len(certified.requests) == 1
