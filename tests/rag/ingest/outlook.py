"""A letter as Outlook saves it: the least OLE container that holds one."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SECTOR, _MINI = 512, 64
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_SUBJECT, _BODY, _SENDER = 0x0037, 0x1000, 0x0C1F
_TEXT = 0x001F


def make_msg(subject: str, body: str, sender: str) -> bytes:
    """Return a letter without recipients or attachments."""
    texts = {_SUBJECT: subject, _BODY: body, _SENDER: sender}
    entries = b"".join(
        struct.pack("<HHIII", _TEXT, tag, 6, 2 * len(text) + 2, 0) for tag, text in texts.items()
    )
    streams = {"__properties_version1.0": bytes(32) + entries}
    for tag, text in texts.items():
        streams[f"__substg1.0_{tag:04X}{_TEXT:04X}"] = text.encode("utf-16-le")
    return container(streams)


def container(streams: Mapping[str, bytes]) -> bytes:
    """Return an OLE container of small streams, all of them at the top."""
    names = sorted(streams, key=lambda name: (len(name), name.upper()))
    mini, starts = b"", {}
    mini_fat: list[int] = []
    for name in names:
        data = streams[name]
        count = max(1, -(-len(data) // _MINI))
        starts[name] = len(mini_fat)
        mini_fat += [*range(starts[name] + 1, starts[name] + count), _END]
        mini += data.ljust(count * _MINI, b"\0")
    mini_sectors = -(-len(mini) // _SECTOR)
    table = b"".join(struct.pack("<I", each) for each in mini_fat)
    table_sectors = -(-len(table) // _SECTOR)
    # Each entry's right neighbour is the next one: a tree all the same.
    entries = [_entry("Root Entry", 5, child=1, start=0, size=len(mini))]
    for number, name in enumerate(names, 1):
        right = number + 1 if number < len(names) else _FREE
        entry = _entry(name, 2, right=right, start=starts[name], size=len(streams[name]))
        entries.append(entry)
    while len(entries) % 4:
        entries.append(_entry("", 0, start=0, size=0))
    directory = b"".join(entries)
    directory_sectors = len(directory) // _SECTOR
    chains = [
        *_chain(0, mini_sectors),
        *_chain(mini_sectors, table_sectors),
        *_chain(mini_sectors + table_sectors, directory_sectors),
        _FAT,
    ]
    fat = b"".join(struct.pack("<I", each) for each in chains).ljust(_SECTOR, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIII", 0, 1, mini_sectors + table_sectors, 0)
    head += struct.pack("<IIIII", 4096, mini_sectors, table_sectors, _END, 0)
    head += struct.pack("<I", len(chains) - 1) + b"\xff" * 4 * 108
    parts = (mini, table, directory)
    padded = b"".join(part.ljust(-(-len(part) // _SECTOR) * _SECTOR, b"\xff") for part in parts)
    return head + padded + fat


def _chain(start: int, count: int) -> list[int]:
    return [*range(start + 1, start + count), _END]


def _entry(
    name: str, kind: int, *, child: int = _FREE, right: int = _FREE, start: int, size: int
) -> bytes:
    title = (name + "\0").encode("utf-16-le") if name else b""
    place = struct.pack("<BBIII", kind, 1, _FREE, right, child)
    return (
        title.ljust(64, b"\0")
        + struct.pack("<H", len(title))
        + place
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )
