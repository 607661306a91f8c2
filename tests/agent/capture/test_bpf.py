"""Packet filters of libpcap on packets that were read from a file."""

import struct
import subprocess
import sys

import pytest
from helpers.packets import A, B, Talk, chunk, ethernet, ipv4, udp, udp_header

from afterfact_agent.capture.bpf import FilterError, PacketFilter
from afterfact_agent.capture.packets import LinkType

FRAMES = [udp(0, A, 1000, B, 53), *Talk().whole(1), udp(2, A, 1000, B, 5353)]


@pytest.mark.parametrize(("expression", "count"), [("udp", 2), ("tcp port 80", 8), ("udp port 53", 1), ("ip6", 0)])
def test_chooses_packets(expression: str, count: int) -> None:
    chosen = PacketFilter(expression)(chunk(FRAMES))
    assert len(chosen) == count
    assert all(len(column) == count for column in (chosen.caplens, chosen.wirelens, chosen.times_us, chosen.linktypes))


def test_each_link_type_has_its_own_program() -> None:
    packet = ipv4(A, B, 17, udp_header(1000, 53))
    only_dns = PacketFilter("udp port 53")
    assert len(only_dns(chunk([(0, packet)], linktype=LinkType.RAW))) == 1
    assert len(only_dns(chunk([(0, bytes(14) + b"\x08\0" + packet)], linktype=LinkType.LINUX_SLL))) == 1
    assert len(only_dns(chunk([(0, struct.pack("=I", 2) + packet)], linktype=LinkType.NULL))) == 1
    assert len(only_dns(chunk([(0, ethernet(packet, 0x0800, [5]))]))) == 0
    assert len(PacketFilter("vlan and udp port 53")(chunk([(0, ethernet(packet, 0x0800, [5]))]))) == 1


def test_a_filter_that_is_none() -> None:
    with pytest.raises(FilterError, match=r"^libpcap cannot make a filter of 'tcp prot 80'; see pcap-filter\(7\)$"):
        PacketFilter("tcp prot 80")


def test_without_pypcap_one_line_says_so() -> None:
    program = """
import sys
sys.modules["pcap"] = None
from afterfact_agent.capture.bpf import FilterError, PacketFilter
try:
    PacketFilter("udp")
except FilterError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "a packet filter needs pypcap (and libpcap), which is not installed\n"
