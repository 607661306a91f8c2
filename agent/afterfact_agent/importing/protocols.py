"""Names of IP protocols as other meters write them: IANA's keywords, in either case, and numbers."""

from functools import lru_cache

UNKNOWN = -1
_KEYWORDS = """
    HOPOPT ICMP IGMP GGP IPv4 ST TCP CBT EGP IGP BBN-RCC-MON NVP-II PUP ARGUS EMCON XNET CHAOS UDP MUX DCN-MEAS
    HMP PRM XNS-IDP TRUNK-1 TRUNK-2 LEAF-1 LEAF-2 RDP IRTP ISO-TP4 NETBLT MFE-NSP MERIT-INP DCCP 3PC IDPR XTP
    DDP IDPR-CMTP TP++ IL IPv6 SDRP IPv6-Route IPv6-Frag IDRP RSVP GRE DSR BNA ESP AH I-NLSP SwIPe NARP MOBILE
    TLSP SKIP IPv6-ICMP IPv6-NoNxt IPv6-Opts - CFTP - SAT-EXPAK KRYPTOLAN RVD IPPC - SAT-MON VISA IPCV CPNX CPHB
    WSN PVP BR-SAT-MON SUN-ND WB-MON WB-EXPAK ISO-IP VMTP SECURE-VMTP VINES TTP NSFNET-IGP DGP TCF EIGRP OSPF
    Sprite-RPC LARP MTP AX.25 IPIP MICP SCC-SP ETHERIP ENCAP - GMTP IFMP PNNI PIM ARIS SCPS QNX A/N IPComp SNP
    Compaq-Peer IPX-in-IP VRRP PGM - L2TP DDX IATP STP SRP UTI SMP SM PTP ISIS FIRE CRTP CRUDP SSCOPMCE IPLT SPS
    PIPE SCTP FC RSVP-E2E-IGNORE Mobility UDPLite MPLS-in-IP manet HIP Shim6 WESP ROHC Ethernet AGGFRAG NSH
"""
"""In the order of their numbers, from 0; a dash has no keyword."""
_OTHER = {"ip-in-ip": 4, "icmpv6": 58, "ipv6-crypt": 50, "ipv6-auth": 51, "ipcu": 71, "os": 94, "is-is": 124,
          "ospfigp": 89, "ipv6_icmp": 58}  # fmt: skip
_NUMBERS = {name.lower(): number for number, name in enumerate(_KEYWORDS.split()) if name != "-"} | _OTHER


@lru_cache(1024)
def protocol_number(name: str) -> int:
    """UNKNOWN if it is no protocol's name, nor a number up to 255."""
    number = _NUMBERS.get(name.lower())
    if number is None and name.isascii() and name.isdecimal() and len(name) <= 3:
        number = int(name)
    return number if number is not None and number <= 255 else UNKNOWN
