"""Names of the tcpdump registry's link types, for messages about those that are not decoded."""

LINKTYPE_NAMES = {
    3: "AX25",
    6: "IEEE802_5",
    7: "ARCNET",
    8: "SLIP",
    10: "FDDI",
    100: "ATM_RFC1483",
    104: "C_HDLC",
    107: "FRELAY",
    117: "PFLOG",
    119: "IEEE802_11_PRISM",
    122: "IP_OVER_FC",
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
    247: "INFINIBAND",
    248: "SCTP",
    249: "USBPCAP",
    251: "BLUETOOTH_LE_LL",
    253: "NETLINK",
}


def linktype_name(number: int) -> str:
    """As the registry calls it, with its number."""
    return f"{LINKTYPE_NAMES.get(number, 'unknown')} ({number})"
