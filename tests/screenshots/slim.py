"""Makes a picture of a page small: at most 256 colours, which is all that flat colours and smooth letters need."""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter

from playwright.sync_api import Page

_PIXELS = """async (png) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const bytes = context.getImageData(0, 0, picture.width, picture.height).data;
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return [picture.width, picture.height, btoa(text)];
}"""
_MOST, _COMMON = 256, 160
_Colour = tuple[int, int, int]


def slim(png: bytes, blank: Page) -> bytes:
    """The picture as a PNG with a palette. `blank` is a page whose policy forbids nothing."""
    width, height, text = blank.evaluate(_PIXELS, base64.b64encode(png).decode())
    pixels = memoryview(base64.b64decode(text)).cast("I")
    counts = Counter(pixels)
    palette = _palette(counts)
    known = [_rgb(colour) for colour in palette]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in counts.keys() - place.keys():
        wanted = _rgb(colour)
        place[colour] = min(range(len(known)), key=lambda number: _apart(wanted, known[number]))
    numbers = bytes(map(place.__getitem__, pixels))
    rows = b"".join(b"\0" + numbers[at : at + width] for at in range(0, len(numbers), width))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", b"".join(bytes(colour) for colour in known))
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _rgb(pixel: int) -> _Colour:
    return pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255


def _apart(one: _Colour, other: _Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _palette(counts: Counter[int]) -> list[int]:
    """The commonest colours, and of the rare ones those that are most unlike all others: a small sign has its own."""
    palette = [colour for colour, _ in counts.most_common(_COMMON)]
    known = [_rgb(colour) for colour in palette]
    apart = {colour: min(_apart(_rgb(colour), other) for other in known) for colour in counts.keys() - set(palette)}
    while apart and len(palette) < _MOST:
        rare = max(apart, key=apart.__getitem__)
        palette.append(rare)
        del apart[rare]
        for colour, before in apart.items():
            apart[colour] = min(before, _apart(_rgb(colour), _rgb(rare)))
    return palette


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
