"""Positions in the WAL, as the server words them (`0/1A2B3C4`) and as numbers of bytes."""

from __future__ import annotations


def number(worded: str) -> int:
    high, _, low = worded.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def worded(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"
