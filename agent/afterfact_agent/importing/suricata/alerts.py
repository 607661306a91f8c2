"""Suricata's alert events as events."""

from collections.abc import Sequence

import numpy as np

from afterfact_agent.importing.events import EventFilling
from afterfact_agent.importing.format import NO_EVENTS
from afterfact_agent.importing.json_columns import BAD_TIME, times, wrong_date
from afterfact_agent.importing.json_lines import Decoded, Faults
from afterfact_protocol.event import Action, Events
from afterfact_protocol.session import Source

from .lines import Alert, Event

_ACTIONS = {"allowed": Action.ALLOWED, "blocked": Action.BLOCKED}


def events_of(lines: Sequence[tuple[Event, int]], decoded: Decoded[Event]) -> Events:
    """The events of alert lines, each with its place in the block; lines that none can be made of are rejected."""
    told: list[tuple[Event, Alert, int]] = []
    for event, place in lines:
        if event.alert is None or event.alert.signature_id is None or event.timestamp is None:
            decoded.refuse(place, "alert event without timestamp or alert.signature_id")
        else:
            told.append((event, event.alert, place))
    if not told:
        return NO_EVENTS
    faults = Faults(len(told))
    made = EventFilling(len(told), Source.SURICATA)
    at = times([event.timestamp or "" for event, _, _ in told])
    faults.note(at == BAD_TIME, "timestamp is no time")
    faults.note(wrong_date(at), "timestamp is before 1990 or in the future")
    made.put("time", at)
    alerts = [alert for _, alert, _ in told]
    made.put_numbers("gid", [alert.gid for alert in alerts])
    made.put_numbers("signature_id", [alert.signature_id for alert in alerts])
    made.put_numbers("rev", [alert.rev for alert in alerts])
    made.put_severities([alert.severity for alert in alerts])
    made.put("action", np.array([_ACTIONS.get(alert.action or "", Action.UNKNOWN) for alert in alerts]))
    made.put_text("signature", [alert.signature for alert in alerts])
    made.put_text("category", [alert.category for alert in alerts])
    events = [event for event, _, _ in told]
    made.put_text("foreign_id", [None if event.flow_id is None else str(event.flow_id) for event in events])
    made.put_ends(
        [event.proto for event in events],
        [(event.src_ip, event.src_port) for event in events],
        [(event.dest_ip, event.dest_port) for event in events],
        faults,
    )
    for row, why in faults.refused():
        decoded.refuse(told[row][2], why)
    return made.finish(faults)
