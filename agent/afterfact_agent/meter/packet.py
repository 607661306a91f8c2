"""The packet in hand: putting it aside while another is counted, or while what it carries is looked at."""

from afterfact_agent.jit import kernel

from .layout import PACKET, PACKET_END, SAVED, Words


@kernel
def put_aside(work: Words) -> None:
    """Keep the packet in hand while another is counted."""
    for place in range(PACKET_END - PACKET):
        work[SAVED + place] = work[PACKET + place]


@kernel
def take_back(work: Words) -> None:
    """Have the packet in hand again."""
    for place in range(PACKET_END - PACKET):
        work[PACKET + place] = work[SAVED + place]
