"""Reading capture files: pcap (microseconds, nanoseconds) and pcapng, of either byte order.

A file is read through a window (window.py): walking a mapped file waits for memory at every packet, and was three times
slower. Damage ends a file, after everything before it was handed out.
Does not look into packets.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import call

from . import walk
from .linktypes import linktype_name
from .packets import Packets, linktype_of
from .report import CaptureError, FileReport
from .window import Window

CHUNK = 4096
"""Packets a chunk, for those who do not walk the file themselves."""

_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": (False, False),
    b"\xa1\xb2\xc3\xd4": (True, False),
    b"\x4d\x3c\xb2\xa1": (False, True),
    b"\xa1\xb2\x3c\x4d": (True, True),
}
"""Magic -> (big-endian, nanoseconds)."""

_OTHER_FORMATS = {
    b"\x34\xcd\xb2\xa1": "the modified pcap format of Kuznetzov's patches",
    b"\xa1\xb2\xcd\x34": "the modified pcap format of Kuznetzov's patches",
    b"\x1f\x8b": "compressed with gzip; decompress it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it first",
    b"\xfd7zXZ": "compressed with xz; decompress it first",
    b"BZh": "compressed with bzip2; decompress it first",
    b"snoop\x00": "a snoop capture; convert it with: editcap -F pcap FILE OUT",
}

_DAMAGE = {
    walk.CUT_HEADER: "the file ends in the middle of a record header",
    walk.CUT_PACKET: "the file ends in the middle of a record",
    walk.BAD_LENGTH: "a record's length makes no sense",
}
_MAX_INTERFACES = 4096


class CaptureFile:
    """One open capture file: a window on its bytes, and where a walk through its packets stands.

    Use it as a context. Whoever walks calls `more` before each walk of `data` from F_AT, until it is False.
    """

    def __init__(self, path: str | Path, report: FileReport | None = None) -> None:
        """Opens the file and reads its header. Raises CaptureError if that cannot be done, or if it is no capture file
        or of a link type that is not decoded."""
        self.name = str(path)
        self.report = report or FileReport(self.name)
        self.file = walk.new_file()
        """See walk.F_AT and so on."""
        self.interfaces = np.zeros((1, walk.I_COLUMNS), np.int64)
        """See walk.I_LINKTYPE and so on."""
        self._linktypes: list[int] = []
        """The link type of each interface of the section, decoded or not."""
        self._refused: dict[int, int] = {}
        """Link type that is not decoded -> packets of it left out."""
        try:
            self._window = Window(io.FileIO(self.name))
        except OSError as error:
            raise CaptureError(f"{self.name}: cannot be read: {error.strerror}") from None
        try:
            self._refill(0)
            self._header()
        except BaseException:
            self._window.__exit__()
            raise

    def __enter__(self) -> "CaptureFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._window.__exit__()

    def more(self) -> bool:
        """See to it that a walk can go on; False at the end of the file. Raises CaptureError where it is damaged."""
        self._tell()
        why = int(self.file[walk.F_WHY])
        if why in walk.CUTS:
            more = self._refill(int(self.file[walk.F_AT]))
            self.file[walk.F_AT] = 0
            if not more:
                return self._end(why)
        elif why == walk.SECTION:
            self._section()
        elif why == walk.INTERFACE:
            self._interface()
        elif why != walk.MORE:
            raise self._damaged(why)
        self.file[walk.F_WHY] = walk.MORE
        return True

    def _tell(self) -> None:
        packets = int(self.file[walk.F_PACKETS])
        if packets != self.report.packets:
            self.report.packets = packets
            self.report.untimely = int(self.file[walk.F_UNTIMELY])
            if packets > self.report.untimely:
                self.report.first_us, self.report.last_us = self.file[[walk.F_FIRST, walk.F_LAST]].tolist()

    def _end(self, why: int) -> bool:
        self._close_section()
        if why != walk.END_OF_DATA:
            raise self._damaged(why)
        if self._refused:
            left_out = ", ".join(f"{count} of {linktype_name(kind)}" for kind, count in self._refused.items())
            raise CaptureError(f"{self.name}: packets of link types that are not supported were left out: {left_out}")
        return False

    def _damaged(self, why: int) -> CaptureError:
        at = self._window.base + int(self.file[walk.F_AT])
        return CaptureError(f"{self.name}: damaged at byte {at}, after packet {self.report.packets}: {_DAMAGE[why]}")

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes at hand."""
        return self._window.data

    def _refill(self, at: int) -> bool:
        """Drop what is before `at` and read on; False if the file has ended."""
        try:
            return self._window.advance(at)
        except OSError as error:
            where = self._window.base + at
            raise CaptureError(f"{self.name}: cannot be read at byte {where}: {error.strerror}") from None

    def _header(self) -> None:
        head = self.data[:24].tobytes()
        if head[:4] in _PCAP_MAGIC:
            if len(head) < 24:
                raise CaptureError(f"{self.name}: the file ends in its header")
            swapped, nanoseconds = _PCAP_MAGIC[head[:4]]
            number = struct.unpack(">I" if swapped else "<I", head[20:24])[0] & 0xFFFF
            linktype = linktype_of(number)
            if linktype is None:
                raise CaptureError(f"{self.name}: link type {linktype_name(number)} is not supported")
            self.file[walk.F_FORMAT], self.file[walk.F_SWAPPED], self.file[walk.F_AT] = walk.PCAP, swapped, 24
            self.interfaces[0, walk.I_LINKTYPE] = linktype
            self.interfaces[0, walk.I_DIVIDE] = 1000 if nanoseconds else 1
        elif head[:4] == struct.pack("<I", walk.BLOCK_SECTION):
            self.file[walk.F_FORMAT], self.file[walk.F_WHY] = walk.PCAPNG, walk.SECTION
        else:
            raise CaptureError(f"{self.name}: {_not_a_capture(head)}")

    def _block(self, least: int) -> bytes:
        """The pcapng block at F_AT, whole, of at least so many bytes; F_AT is behind it afterwards."""
        at = int(self.file[walk.F_AT])
        head = self.data[at : at + 12].tobytes()
        if len(head) < 12:
            raise self._damaged(walk.CUT_HEADER)
        length = self._unpack("I", head[4:8])[0]
        if not least <= length <= walk.MAX_BLOCK or length % 4:
            raise self._damaged(walk.BAD_LENGTH)
        while len(self.data) - at < length:
            more = self._refill(at)
            at = 0
            self.file[walk.F_AT] = 0
            if not more:
                raise self._damaged(walk.CUT_PACKET)
        self.file[walk.F_AT] = at + length
        return self.data[at : at + length].tobytes()

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack((">" if self.file[walk.F_SWAPPED] else "<") + form, data)

    def _close_section(self) -> None:
        for number, linktype in enumerate(self._linktypes):
            skipped = int(self.interfaces[number, walk.I_SKIPPED])
            if skipped:
                self._refused[linktype] = self._refused.get(linktype, 0) + skipped

    def _section(self) -> None:
        self._close_section()
        self._linktypes = []
        self.file[walk.F_INTERFACES] = 0
        at = int(self.file[walk.F_AT])
        magic = self.data[at + 8 : at + 12].tobytes()
        if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            where = self._window.base + at
            raise CaptureError(f"{self.name}: damaged at byte {where}: a section without its byte-order mark")
        self.file[walk.F_SWAPPED] = magic == b"\x1a\x2b\x3c\x4d"
        block = self._block(28)
        major = self._unpack("H", block[12:14])[0]
        if major != 1:
            raise CaptureError(f"{self.name}: pcapng version {major} is not supported")

    def _interface(self) -> None:
        block = self._block(20)
        number = len(self._linktypes)
        if number == _MAX_INTERFACES:
            raise CaptureError(f"{self.name}: more than {_MAX_INTERFACES} interfaces in one section")
        if number == len(self.interfaces):
            self.interfaces = np.concatenate([self.interfaces, np.zeros_like(self.interfaces)])
        linktype, _, snaplen = self._unpack("HHI", block[8:16])
        row = self.interfaces[number]
        row[:] = 0
        decoded = linktype_of(linktype)
        row[walk.I_LINKTYPE] = -1 if decoded is None else decoded
        row[walk.I_SNAPLEN] = snaplen
        row[walk.I_MULTIPLY] = row[walk.I_DIVIDE] = 1
        for code, value in self._options(block[16:-4]):
            if code == 9 and len(value) >= 1:  # if_tsresol
                power = value[0] & 0x7F
                if value[0] & 0x80:
                    row[walk.I_SHIFT] = min(power, 62)
                    row[walk.I_MULTIPLY] = 1 if power else 1_000_000
                elif power <= 6:
                    row[walk.I_MULTIPLY] = 10 ** (6 - power)
                else:
                    row[walk.I_DIVIDE] = 10 ** min(power - 6, 18)
            elif code == 14 and len(value) >= 8:  # if_tsoffset, seconds
                offset = self._unpack("q", value[:8])[0]
                row[walk.I_OFFSET] = max(min(offset, 1 << 40), -(1 << 40)) * 1_000_000
        self._linktypes.append(linktype)
        self.file[walk.F_INTERFACES] = number + 1

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(data):
            code, length = self._unpack("HH", data[at : at + 4])
            if code == 0:
                return
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4


def _not_a_capture(head: bytes) -> str:
    if not head:
        return "is empty"
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return f"not a pcap or pcapng file but {what}"
    return "is not a pcap or pcapng file"


def read_capture(path: str | Path, report: FileReport | None = None) -> Iterator[Packets]:
    """The packets of a capture file, in chunks, in the order of the file.

    Raises CaptureError, from the first `next`, if it is no capture file or of a link type that is not decoded; and
    after the last good packet if the file is damaged there. A chunk is overwritten by the next.
    """
    offsets, caplens, wirelens, times, linktypes = columns = [np.zeros(CHUNK, np.int64) for _ in range(5)]
    with CaptureFile(path, report) as capture:
        while capture.more():
            call(
                walk.walk, capture.data, capture.file, capture.interfaces, offsets, caplens, wirelens, times, linktypes
            )
            count = int(capture.file[walk.F_COUNT])
            if count:
                yield Packets(capture.data, *(column[:count] for column in columns))
