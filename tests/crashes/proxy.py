"""A TCP proxy in front of a real server: what a network and an overloaded server do to whoever speaks to it."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


class Proxy:
    """Listens on `host`, on the port of `target`, and passes everything on to `target` until it is told otherwise.

    Used as a context manager. Every trouble is a context manager too, and over at its end.
    """

    def __init__(self, target: tuple[str, int], host: str) -> None:
        self.target, self.host = target, host
        self.served = 0
        """Connections accepted while there was trouble."""
        self._trouble = ""
        self._delay = 0.0
        self._answer = b""
        self._limit = -1
        self._lose_reply_to = b""
        self._share = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._moved_on = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.target[1]}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- troubles -----------------------------------------------------------------------------------------------

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Every connection is reset, and new ones are at once."""
        with self._in_trouble("cut"):
            self._call(self._reset_all())
            yield

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections stand and take what comes, and nothing goes through; at the end it all does."""
        with self._in_trouble("frozen"):
            yield

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Whatever comes waits that long before it goes on."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    @contextmanager
    def answering(self, status: str) -> Iterator[None]:
        """Every request is answered like that, as `503 Slow Down`, and goes nowhere."""
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        with self._in_trouble("answering"):
            self._call(self._reset_all())
            yield

    @contextmanager
    def half(self, limit: int) -> Iterator[None]:
        """No connection gets more than so many bytes in answer; then it is cut."""
        self._limit = limit
        try:
            self._call(self._reset_all())
            yield
        finally:
            self._limit = -1

    @contextmanager
    def losing_replies_to(self, words: bytes, *, share: float) -> Iterator[None]:
        """Of the connections that send those words, such a share is reset as soon as the server answers: it was done,
        and who asked does not know."""
        self._lose_reply_to, self._share = words, share
        try:
            yield
        finally:
            self._lose_reply_to = b""

    @contextmanager
    def _in_trouble(self, trouble: str) -> Iterator[None]:
        self._trouble, self.served = trouble, 0
        try:
            yield
        finally:
            self._trouble = ""
            self._loop.call_soon_threadsafe(self._moved_on.set)

    # -- the wire -----------------------------------------------------------------------------------------------

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.target[1])

    async def _shut(self) -> None:
        self._server.close()
        await self._reset_all()

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        if self._trouble == "cut":
            _reset(writer)
            return
        if self._trouble == "answering":
            with suppress(OSError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
                await writer.drain()
            writer.close()
            return
        try:
            there = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, there[1]}
        lost = asyncio.Event()
        sent = [0]

        def asked(data: bytes) -> None:
            if self._lose_reply_to and self._lose_reply_to in data and random.random() < self._share:
                lost.set()

        def answered(data: bytes) -> None:
            sent[0] += len(data)
            if lost.is_set() or 0 <= self._limit < sent[0]:
                _reset(writer)
                raise ConnectionAbortedError

        try:
            await asyncio.gather(self._pump(reader, there[1], asked), self._pump(there[0], writer, answered))
        except OSError:
            pass
        finally:
            for end in (writer, there[1]):
                self._writers.discard(end)
                _reset(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]
    ) -> None:
        while data := await reader.read(_CHUNK):
            look(data)
            while self._trouble == "frozen":
                self._moved_on.clear()
                await self._moved_on.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one end has gone: so does the other


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        raw = writer.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()
