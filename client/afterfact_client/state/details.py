"""Everything known of one session, in words: what the detail pane shows.

Facts are a label and parts; a part that is the value of a column is a door to further questions. Nothing here is
guessed: what the record does not say is not said, and what its source did not know is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from afterfact_client.state.columns import BY_NAME, duration
from afterfact_client.state.icmp import icmp_words
from afterfact_client.state.wording import count
from afterfact_protocol.query.canonical import instant
from afterfact_protocol.records import Records
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME
from afterfact_protocol.session import (
    FIELDS,
    IPV4_PREFIX,
    DirectionBy,
    EndReason,
    Mark,
    Outcome,
    Proto,
    Source,
    State,
    TcpFlag,
    Tunnel,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text."""

    text: str
    column: str = ""
    """The column that it is the value of: what can be asked around it."""
    ask: str = ""
    """A query that it runs."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line. Without a label it goes on with what the line before says."""

    label: str
    parts: tuple[Part, ...]
    weight: str = ""
    """"dim" for what is seldom looked at, "warning" for what must be known."""

    @property
    def text(self) -> str:
        """All of it, without its label."""
        return "".join(part.text for part in self.parts)


OUTCOMES: dict[int, str] = {
    Outcome.UNKNOWN: "the evidence is missing",
    Outcome.ATTEMPTED: "no answer",
    Outcome.REFUSED: "the responder said no",
    Outcome.UNREACHABLE: "reported as not to be delivered",
    Outcome.OPENED: "a handshake, and no data",
    Outcome.ONE_WAY: "open, with data from one side only",
    Outcome.BOTH_WAYS: "open, with data from both sides",
}
TCP_STATES: dict[int, str] = {
    State.OTH: "no SYN was seen: picked up in mid-stream",
    State.S0: "SYN, and no answer",
    State.S1: "established, its end not seen",
    State.SF: "established, and ended by both sides",
    State.REJ: "the SYN was answered by a reset",
    State.S2: "established; src closed, dst did not answer that",
    State.S3: "established; dst closed, src did not answer that",
    State.RSTO: "established, and reset by src",
    State.RSTR: "reset by dst",
    State.RSTOS0: "src sent SYN, then a reset; no SYN-ACK was seen",
    State.RSTRH: "dst sent SYN-ACK, then a reset; no SYN was seen",
    State.SH: "src sent SYN, then FIN; no SYN-ACK was seen",
    State.SHR: "dst sent SYN-ACK; nothing of src was seen",
}
OTHER_STATES: dict[int, str] = {
    State.OTH: "a protocol or message that expects no answer",
    State.S0: "asked, no answer",
    State.SF: "asked and answered",
    State.SHR: "an answer only; what it answers was not seen",
}
LETTERS = {
    "s": "sent SYN", "h": "sent SYN-ACK", "a": "acknowledged", "d": "sent data", "f": "sent FIN", "r": "sent a reset",
    "t": "sent data again", "i": "sent FIN and RST in one", "q": "sent SYN with FIN or RST",
    "c": "sent a bad checksum", "g": "has a gap: data that the meter missed", "w": "had no room for more (window 0)",
}  # fmt: skip
"""Ours and Zeek's."""
DIRECTIONS: dict[int, str] = {
    DirectionBy.UNKNOWN: "the source does not say why",
    DirectionBy.SYN: "it sent the SYN",
    DirectionBy.SYNACK: "the other side sent the SYN-ACK; its SYN was not seen",
    DirectionBy.REQUEST: "it sent the request, or was sent the reply",
    DirectionBy.PORT: "the other port is a server's; no beginning was seen",
    DirectionBy.FIRST: "it sent the first packet that was seen, which proves little",
}
ENDS: dict[int, str] = {
    EndReason.OPEN: "not yet: this record is an interim one",
    EndReason.CLOSED: "its end was seen",
    EndReason.IDLE: "nothing came for the idle time-out",
    EndReason.REUSED: "a new session began on the same endpoints",
    EndReason.FORCED: "the meter stopped or the capture ended",
    EndReason.EVICTED: "the meter's table was full: it left early",
}
MARKS: dict[int, str] = {
    Mark.PARTIAL: "picked up in mid-stream: what came before was not seen",
    Mark.LATE_SYN: "its SYN came after other packets of it",
    Mark.FLIP: "later evidence says that dst called src; they stay as first reported",
    Mark.LEN_INFERRED: "an IP length was missing or cut: bytes are lower bounds",
    Mark.FRAGMENTS: "IP fragments belong to it",
    Mark.LOST_FRAGMENT: "fragments whose first was not seen: their ports are not known",
    Mark.BAD_CHECKSUM: "packets with a bad checksum are among those counted",
    Mark.TIME_STEP: "the packet clock stepped backwards in it",
    Mark.HISTORY_CUT: "its history was longer than can be kept",
}
TUNNELS: dict[int, str] = {
    Tunnel.MPLS: "MPLS", Tunnel.PPPOE: "PPPoE", Tunnel.GRE: "GRE", Tunnel.ERSPAN: "ERSPAN", Tunnel.IPIP: "IP in IP",
    Tunnel.SIXIN4: "6in4", Tunnel.TEREDO: "Teredo", Tunnel.VXLAN: "VXLAN", Tunnel.GENEVE: "Geneve",
    Tunnel.GTP: "GTP-U", Tunnel.AH: "AH", Tunnel.ETHERIP: "EtherIP", Tunnel.OTHER: "of a kind that is not told",
}  # fmt: skip
SOURCES: dict[int, str] = {
    Source.AFTERFACT: "Afterfact's own meter", Source.SANCP: "SANCP", Source.STREAM4: "Snort's stream4",
    Source.ARGUS: "Argus", Source.ZEEK: "Zeek", Source.SURICATA: "Suricata", Source.NETFLOW: "NetFlow or IPFIX",
    Source.SNORT: "Snort",
}  # fmt: skip
_HEADED = ("src_ip", "src_port", "dst_ip", "dst_port")


def facts(row: np.void, sensors: Mapping[int, str]) -> list[Fact]:
    """All that the record says, what matters most first."""
    return list(_Session(row, sensors).facts())


class _Session:
    def __init__(self, row: np.void, sensors: Mapping[int, str]) -> None:
        self._row = row
        self._rows: Records = np.array([row])
        self._sensors = sensors
        self._absent = int(row["absent"])
        self._tcp = int(row["proto"]) == Proto.TCP
        self._v6 = bytes(row["src_ip"])[:12] != IPV4_PREFIX

    def facts(self) -> Iterator[Fact]:
        yield self._heading()
        yield Fact("Outcome", (self._value("outcome"), Part(f": {self._outcome()}")))
        yield from self._errors()
        yield from (Fact("Must know", (Part(words),), "warning") for words in self._flags("marks", MARKS))
        if self._knows("missed_bytes") and self._int("missed_bytes"):
            words = f"its meter missed {count(self._int('missed_bytes'), 'byte')} of payload"
            yield Fact("Must know", (Part(words),), "warning")
        yield from self._times()
        yield self._side("Sent", "src")
        yield self._side("Returned", "dst")
        yield Fact("Called by", (self._value("src_ip"), Part(f": {self._named('direction_by', DIRECTIONS)}")))
        yield from self._icmp()
        yield from self._state()
        yield from self._history()
        yield from self._around()
        yield Fact("Sensor", (self._value("sensor"), Part(f", metered by {self._named('source', SOURCES)}")))
        yield Fact("Community ID", (self._value("community_id"),))
        if self._knows("foreign_id") and bytes(self._row["foreign_id"]):
            yield Fact("Foreign ID", (self._value("foreign_id"),))
        stored = f"{self._time('ingest_time')} UTC, revision {self._int('revision'):,}"
        yield Fact("Session ID", (self._value("session_id"),), "dim")
        yield Fact("Stored", (Part(stored),), "dim")
        unknown = [BY_NAME[field.name].title for field in FIELDS if field.nullable and not self._knows(field.name)]
        if unknown:
            yield Fact("Not known", (Part(", ".join(unknown)),), "dim")

    # --- lines --------------------------------------------------------------------------------------------------------

    def _heading(self) -> Fact:
        parts: list[Part] = []
        for side, lead in (("src", ""), ("dst", " → ")):
            parts += [Part(lead)] if lead else []
            port = self._knows(f"{side}_port")
            bracketed = port and self._side_is_v6(side)
            parts += [Part("[")] if bracketed else []
            parts.append(self._value(f"{side}_ip"))
            parts += [Part("]")] if bracketed else []
            parts += [Part(":"), self._value(f"{side}_port")] if port else []
        return Fact("", (*parts, Part(" "), self._value("proto")))

    def _outcome(self) -> str:
        words = self._named("outcome", OUTCOMES)
        if self._knows("syn_retries") and self._int("syn_retries"):
            length = duration(self._int("end_time") - self._int("start_time"))
            words += f"; the SYN was sent {self._int('syn_retries') + 1:,} times in {_seconds(length)}"
        return words

    def _errors(self) -> Iterator[Fact]:
        if not self._knows("error_count") or not self._int("error_count"):
            return
        times = self._int("error_count")
        parts: list[Part] = []
        if self._knows("error_type"):
            code = self._int("error_code") if self._knows("error_code") else None
            parts.append(Part(icmp_words(self._int("error_type"), code, self._v6)))
        if self._knows("error_ip"):
            parts += [Part(", by " if parts else "by "), self._value("error_ip")]
        parts.append(Part(f"; {times:,} of them, this the first" if times > 1 else ""))
        yield Fact("ICMP error", tuple(part for part in parts if part.text))

    def _times(self) -> Iterator[Fact]:
        yield Fact("Start", (self._value("start_time", self._time("start_time")), Part(" UTC")))
        length = duration(self._int("end_time") - self._int("start_time"))
        end = self._value("end_time", self._time("end_time"))
        yield Fact("End", (end, Part(" UTC, after "), self._value("duration", _seconds(length))))

    def _side(self, label: str, side: str) -> Fact:
        parts = []
        if self._knows(f"{side}_pkts"):
            parts.append(count(self._int(f"{side}_pkts"), "packet"))
        if self._knows(f"{side}_bytes"):
            parts.append(f"{count(self._int(f'{side}_bytes'), 'byte')} of payload")
        if self._knows(f"{side}_retrans_bytes") and self._int(f"{side}_retrans_bytes"):
            parts.append(f"{self._int(f'{side}_retrans_bytes'):,} of them sent again")
        if self._knows(f"{side}_ip_bytes"):
            parts.append(f"{self._int(f'{side}_ip_bytes'):,} with IP headers")
        if self._knows(f"{side}_flags") and self._int(f"{side}_flags"):
            parts.append("flags " + " ".join(flag.name or "" for flag in TcpFlag if self._int(f"{side}_flags") & flag))
        nothing = self._knows(f"{side}_pkts") and not self._int(f"{side}_pkts")
        return Fact(label, (Part("nothing" if nothing else ", ".join(parts) or "not known"),))

    def _icmp(self) -> Iterator[Fact]:
        if self._knows("icmp_type"):
            code = self._int("icmp_code") if self._knows("icmp_code") else None
            words = icmp_words(self._int("icmp_type"), code, self._int("proto") == Proto.ICMPV6)
            words += f", id {self._int('icmp_id')}" if self._knows("icmp_id") else ""
            yield Fact("Message", (Part(words),))

    def _state(self) -> Iterator[Fact]:
        if self._knows("state"):
            words = (TCP_STATES if self._tcp else OTHER_STATES).get(self._int("state"), "")
            yield Fact("State", (self._value("state"), Part(f": {words}" if words else "")))
        if self._knows("end_reason"):
            yield Fact("Ended", (Part(self._named("end_reason", ENDS)),))

    def _history(self) -> Iterator[Fact]:
        if not self._knows("history") or not bytes(self._row["history"]):
            return
        yield Fact("History", (self._value("history"),))
        seen: set[str] = set()
        for letter in BY_NAME["history"].texts(self._rows, self._sensors)[0] or "":
            yield Fact("", (Part(f"{letter}  {_letter(letter, letter in seen)}"),))
            seen.add(letter)

    def _around(self) -> Iterator[Fact]:
        kinds = list(self._flags("tunnel", TUNNELS))
        if kinds:
            parts = [Part(", ".join(kinds))]
            if self._knows("tunnel_id"):
                parts += [Part(", id "), self._value("tunnel_id")]
            if self._knows("tunnel_src_ip") and self._knows("tunnel_dst_ip"):
                parts += [Part(", "), self._value("tunnel_src_ip"), Part(" → "), self._value("tunnel_dst_ip")]
            yield Fact("Tunnel", tuple(parts))
        if self._knows("vlan"):
            inner = [Part(", inner "), self._value("inner_vlan")] if self._knows("inner_vlan") else []
            yield Fact("VLAN", (self._value("vlan"), *inner))

    # --- values -------------------------------------------------------------------------------------------------------

    def _int(self, name: str) -> int:
        return int(self._row[name])

    def _named(self, name: str, words: Mapping[int, str]) -> str:
        """A named value in words; its number where a newer server has one that this console does not know."""
        return words.get(self._int(name), str(self._int(name)))

    def _knows(self, name: str) -> bool:
        return not self._absent >> FIELD_BY_NAME[name].id & 1

    def _side_is_v6(self, side: str) -> bool:
        return bytes(self._row[f"{side}_ip"])[:12] != IPV4_PREFIX

    def _value(self, name: str, text: str = "") -> Part:
        """A column's value as the table shows it, whole where the table shortens."""
        column = BY_NAME[name]
        return Part(text or self._text(name), column.name)

    def _text(self, name: str) -> str:
        column = BY_NAME[name]
        if name == "session_id":
            return str(self._int(name))
        return column.texts(self._rows, self._sensors)[0] or "not known"

    def _time(self, name: str) -> str:
        try:
            return instant(self._int(name))
        except OverflowError:
            return self._text(name)

    def _flags(self, name: str, words: Mapping[int, str]) -> Iterator[str]:
        bits = self._int(name)
        yield from (text for bit, text in words.items() if bits & bit)


def _seconds(length: str) -> str:
    """A duration as the table shows it, with the unit that the table's has none of."""
    return length if ":" in length else f"{length} s"


def _letter(letter: str, again: bool) -> str:
    if letter == "^":
        return "turned round: src did not send the first packet"
    words = LETTERS.get(letter.lower())
    if words is None:
        return "a letter that this console does not know"
    return f"{'src' if letter.isupper() else 'dst'} {words}{', again' if again else ''}"
