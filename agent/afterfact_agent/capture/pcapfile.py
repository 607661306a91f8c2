"""Reading capture files: pcap (microseconds, nanoseconds) and pcapng, of either byte order, in chunks of packets.

A file is mapped, not copied. Damage ends a file, after everything before it was handed out.
Does not look into packets.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import walk
from .packets import LinkType, Packets
from .report import CaptureError, FileReport

CHUNK = 4096
"""Packets a chunk: its columns stay in the processor's cache."""

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

LINKTYPE_NAMES = {
    3: "AX25",
    6: "IEEE802_5",
    7: "ARCNET",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    100: "ATM_RFC1483",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    117: "PFLOG",
    119: "IEEE802_11_PRISM",
    122: "IP_OVER_FC",
    127: "IEEE802_11_RADIOTAP",
    129: "ARCNET_LINUX",
    143: "DOCSIS",
    147: "USER0",
    163: "IEEE802_11_AVS",
    187: "BLUETOOTH_HCI_H4",
    189: "USB_LINUX",
    192: "PPI",
    195: "IEEE802_15_4_WITHFCS",
    201: "BLUETOOTH_HCI_H4_WITH_PHDR",
    204: "PPP_WITH_DIR",
    220: "USB_LINUX_MMAPPED",
    226: "IPNET",
    227: "CAN_SOCKETCAN",
    230: "IEEE802_15_4_NOFCS",
    239: "NFLOG",
    247: "INFINIBAND",
    248: "SCTP",
    249: "USBPCAP",
    251: "BLUETOOTH_LE_LL",
    253: "NETLINK",
    276: "LINUX_SLL2",
    289: "ZWAVE_SERIAL",
}
"""Of the tcpdump registry, for messages about link types that are not decoded."""

_KNOWN = frozenset(LinkType)
_DAMAGE = {
    walk.CUT_HEADER: "the file ends in the middle of a record header",
    walk.CUT_PACKET: "the file ends in the middle of a record",
    walk.BAD_LENGTH: "a record's length makes no sense",
}
_MAX_INTERFACES = 4096


def linktype_name(number: int) -> str:
    """As the tcpdump registry calls it, with its number."""
    return f"{LINKTYPE_NAMES.get(number, 'unknown')} ({number})"


def _map(path: str) -> NDArray[np.uint8]:
    """The bytes of a file; raises CaptureError."""
    try:
        with open(path, "rb") as file:
            if os.path.isfile(path) and os.fstat(file.fileno()).st_size:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                mapped.madvise(mmap.MADV_SEQUENTIAL)
                return np.frombuffer(mapped, np.uint8)
            return np.frombuffer(file.read(), np.uint8)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CaptureError(f"{path}: cannot be read: {reason}") from None


def read_capture(path: str | Path, report: FileReport | None = None) -> Iterator[Packets]:
    """The packets of a capture file, in chunks, in the order of the file.

    Raises CaptureError at once if it is no capture file or of a link type that is not decoded; and after the last
    good packet if the file is damaged there. Columns of a chunk are overwritten by the next.
    """
    name = str(path)
    data = _map(name)
    seen = report or FileReport(name)
    head = data[:24].tobytes()
    if not head:
        raise CaptureError(f"{name}: is empty")
    if head[:4] in _PCAP_MAGIC:
        if len(head) < 24:
            raise CaptureError(f"{name}: the file ends in its header")
        return _read_pcap(name, data, seen)
    if head[:4] == struct.pack("<I", walk.BLOCK_SECTION):
        return _Pcapng(name, data, seen).chunks()
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CaptureError(f"{name}: not a pcap or pcapng file but {what}")
    raise CaptureError(f"{name}: is not a pcap or pcapng file")


def _columns(count: int) -> list[NDArray[np.int64]]:
    return [np.zeros(CHUNK, np.int64) for _ in range(count)]


def _damaged(name: str, why: int, at: int, packets: int) -> CaptureError:
    return CaptureError(f"{name}: damaged at byte {at}, after packet {packets}: {_DAMAGE[why]}")


def _read_pcap(name: str, data: NDArray[np.uint8], seen: FileReport) -> Iterator[Packets]:
    swapped, nanoseconds = _PCAP_MAGIC[data[:4].tobytes()]
    linktype = struct.unpack(">I" if swapped else "<I", data[20:24].tobytes())[0] & 0xFFFF
    if linktype not in _KNOWN:
        raise CaptureError(f"{name}: link type {linktype_name(linktype)} is not supported")
    return _pcap_chunks(name, data, seen, swapped, nanoseconds, linktype)


def _pcap_chunks(
    name: str, data: NDArray[np.uint8], seen: FileReport, swapped: bool, nanoseconds: bool, linktype: int
) -> Iterator[Packets]:
    offsets, caplens, wirelens, times = _columns(4)
    linktypes = np.full(CHUNK, linktype, np.int64)
    result = np.zeros(3, np.int64)
    at, why = 24, walk.MORE
    while why == walk.MORE:
        walk.walk_pcap(data, at, swapped, nanoseconds, offsets, caplens, wirelens, times, result)
        count, at, why = result.tolist()
        packets = Packets(data, *(column[:count] for column in (offsets, caplens, wirelens, times, linktypes)))
        seen.note(packets)
        if count:
            yield packets
    if why != walk.END_OF_FILE:
        raise _damaged(name, why, at, seen.packets)


class _Pcapng:
    """Walks one pcapng file. Sections and interfaces are read here, packets by the kernel."""

    def __init__(self, name: str, data: NDArray[np.uint8], seen: FileReport) -> None:
        self.name, self.data, self.seen = name, data, seen
        self.at = 0
        self.swapped = False
        self.interfaces = np.zeros((_MAX_INTERFACES, walk.I_COLUMNS), np.int64)
        self.interface_count = 0
        self.refused: dict[int, int] = {}
        """Link type that is not decoded -> packets of it left out."""
        self.kinds: list[int] = []
        """The link type of each interface of the section."""

    def chunks(self) -> Iterator[Packets]:
        offsets, caplens, wirelens, times, linktypes = _columns(5)
        result = np.zeros(4, np.int64)
        why, last_time = walk.SECTION, 0
        while why in (walk.MORE, walk.SECTION, walk.INTERFACE):
            if why == walk.SECTION:
                self._section()
            elif why == walk.INTERFACE:
                self._interface()
            walk.walk_pcapng(
                self.data,
                self.at,
                self.swapped,
                self.interfaces,
                self.interface_count,
                last_time,
                offsets,
                caplens,
                wirelens,
                times,
                linktypes,
                result,
            )
            count, self.at, why, last_time = result.tolist()
            columns = (offsets, caplens, wirelens, times, linktypes)
            packets = Packets(self.data, *(column[:count] for column in columns))
            self.seen.note(packets)
            if count:
                yield packets
        self._close_section()
        if why != walk.END_OF_FILE:
            raise _damaged(self.name, why, self.at, self.seen.packets)
        for linktype, skipped in self.refused.items():
            raise CaptureError(
                f"{self.name}: link type {linktype_name(linktype)} is not supported: {skipped} packets left out"
            )

    def _block(self) -> bytes:
        """The block at hand; its lengths were checked by the kernel, or are checked here for a section's."""
        head = self.data[self.at : self.at + 12].tobytes()
        if len(head) < 12:
            raise _damaged(self.name, walk.CUT_HEADER, self.at, self.seen.packets)
        length = self._unpack("I", head[4:8])[0]
        if length < 12 or length % 4:
            raise _damaged(self.name, walk.BAD_LENGTH, self.at, self.seen.packets)
        block = self.data[self.at : self.at + length].tobytes()
        if len(block) < length:
            raise _damaged(self.name, walk.CUT_PACKET, self.at, self.seen.packets)
        self.at += length
        return block

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack((">" if self.swapped else "<") + form, data)

    def _close_section(self) -> None:
        for number, linktype in enumerate(self.kinds):
            skipped = int(self.interfaces[number, walk.I_SKIPPED])
            if skipped:
                self.refused[linktype] = self.refused.get(linktype, 0) + skipped

    def _section(self) -> None:
        self._close_section()
        magic = self.data[self.at + 8 : self.at + 12].tobytes()
        if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            raise CaptureError(f"{self.name}: damaged at byte {self.at}: a section without its byte-order mark")
        self.swapped = magic == b"\x1a\x2b\x3c\x4d"
        block = self._block()
        if len(block) < 28:
            raise _damaged(self.name, walk.BAD_LENGTH, self.at, self.seen.packets)
        major = self._unpack("H", block[12:14])[0]
        if major != 1:
            raise CaptureError(f"{self.name}: pcapng version {major} is not supported")
        self.interface_count = 0
        self.kinds = []

    def _interface(self) -> None:
        block = self._block()
        if len(block) < 20:
            raise _damaged(self.name, walk.BAD_LENGTH, self.at, self.seen.packets)
        if self.interface_count == _MAX_INTERFACES:
            raise CaptureError(f"{self.name}: more than {_MAX_INTERFACES} interfaces in one section")
        linktype, _, snaplen = self._unpack("HHI", block[8:16])
        row = self.interfaces[self.interface_count]
        row[:] = 0
        row[walk.I_LINKTYPE] = linktype if linktype in _KNOWN else -1
        row[walk.I_SNAPLEN] = snaplen
        row[walk.I_MULTIPLY] = row[walk.I_DIVIDE] = 1
        for code, value in self._options(block[16:-4]):
            if code == 9 and len(value) >= 1:  # if_tsresol
                power = value[0] & 0x7F
                if value[0] & 0x80:
                    row[walk.I_SHIFT] = min(power, 62)
                    if power == 0:
                        row[walk.I_MULTIPLY] = 1_000_000
                elif power <= 6:
                    row[walk.I_MULTIPLY] = 10 ** (6 - power)
                else:
                    row[walk.I_DIVIDE] = 10 ** min(power - 6, 18)
            elif code == 14 and len(value) >= 8:  # if_tsoffset, seconds
                offset = self._unpack("q", value[:8])[0]
                row[walk.I_OFFSET] = max(min(offset, 1 << 40), -(1 << 40)) * 1_000_000
        self.interface_count += 1
        self.kinds.append(linktype)

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(data):
            code, length = self._unpack("HH", data[at : at + 4])
            if code == 0:
                return
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4
