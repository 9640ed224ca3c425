"""Reads what the plugin pgoutput says of row changes (protocol version 1): in which table, with which values.

Values are bytes as the type's output function words them, in the encoding of the session that reads the slot.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

Table = tuple[str, str]
"""`(schema, name)`."""

Values = dict[str, bytes]
"""By column; without those that are null, were left out, or are toasted and did not change."""


@dataclass(frozen=True)
class Change:
    """`rows`: the row's values before and after, as far as they were sent; empty for TRUNCATE."""

    table: Table
    rows: tuple[Values, ...]


class Decoder:
    """Of one answer of the slot: relations are described before their first change."""

    def __init__(self) -> None:
        self._relations: dict[int, tuple[Table, list[str]]] = {}

    @staticmethod
    def committed(message: bytes) -> int | None:
        """Where the commit is whose changes follow; None unless a transaction begins with the message."""
        return _Reader(message).number(">Q") if message[:1] == b"B" else None

    def changes(self, message: bytes) -> Iterator[Change]:
        kind, reader = message[:1], _Reader(message)
        if kind == b"R":
            self._describe(reader)
        elif kind in (b"I", b"U", b"D"):
            table, columns = self._relations[reader.number(">I")]
            yield Change(table, tuple(reader.tuples(columns)))
        elif kind == b"T":
            count, _options = reader.number(">I"), reader.number(">B")
            for _ in range(count):
                yield Change(self._relations[reader.number(">I")][0], ())

    def _describe(self, reader: _Reader) -> None:
        number, schema, name = reader.number(">I"), reader.text() or "pg_catalog", reader.text()
        reader.number(">B")  # its replica identity
        columns = []
        for _ in range(reader.number(">H")):
            reader.number(">B")  # whether it is part of the key
            columns.append(reader.text())
            reader.number(">I")  # its type
            reader.number(">i")  # and the type's modifier
        self._relations[number] = (schema, name), columns


class _Reader:
    """Takes a message apart from its second byte on."""

    def __init__(self, message: bytes) -> None:
        self._message, self._at = message, 1

    def number(self, layout: str) -> int:
        (found,) = struct.unpack_from(layout, self._message, self._at)
        self._at += struct.calcsize(layout)
        return int(found)

    def text(self) -> str:
        end = self._message.index(b"\0", self._at)
        found, self._at = self._message[self._at : end], end + 1
        return found.decode(errors="backslashreplace")

    def tuples(self, columns: list[str]) -> Iterator[Values]:
        while self._at < len(self._message):
            self._at += 1  # K, O or N: key, whole old row, new row
            values = {}
            for column in [columns[n] for n in range(self.number(">H"))]:
                kind = self._message[self._at : self._at + 1]
                self._at += 1
                if kind == b"t":
                    length = self.number(">I")
                    values[column] = self._message[self._at : self._at + length]
                    self._at += length
            yield values
