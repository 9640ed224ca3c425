"""Small real PNG pictures, each different: a mirrored pattern in a colour of its own, like an avatar."""

from __future__ import annotations

import colorsys
import hashlib
import struct
import zlib

_CELLS = 7
_CELL_PIXELS = 16


def png(name: str) -> bytes:
    """A valid PNG of 112 by 112 pixels; the same name gives the same bytes, another name another picture."""
    seed = hashlib.sha256(name.encode()).digest()
    ink = _rgb(hue=seed[0] / 256, lightness=0.45)
    paper = _rgb(hue=seed[1] / 256, lightness=0.93)
    rows = b""
    for y in range(_CELLS):
        cells = [seed[2 + y * 4 + min(x, _CELLS - 1 - x)] & 1 for x in range(_CELLS)]
        pixels = b"".join((ink if cell else paper) * _CELL_PIXELS for cell in cells)
        rows += (b"\0" + pixels) * _CELL_PIXELS  # each row is preceded by its filter type, 0: none
    side = _CELLS * _CELL_PIXELS
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)  # 8 bits a channel, colour type 2: RGB
    text = b"Title\0" + name.encode("latin-1", "replace")
    chunks = ((b"IHDR", header), (b"tEXt", text), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _rgb(*, hue: float, lightness: float) -> bytes:
    return bytes(round(channel * 255) for channel in colorsys.hls_to_rgb(hue, lightness, 0.6))
