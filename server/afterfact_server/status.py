"""The state of all sensors and of the store, as STATUS tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError, encode
from afterfact_protocol.messages import (
    MAX_ALARMS_TOLD,
    MAX_NETWORKS_TOLD,
    MAX_SENSORS_TOLD,
    WORST_FIRST,
    Alarm,
    Message,
    SensorState,
    SensorStatus,
    Status,
)
from afterfact_protocol.versions import SOFTWARE
from afterfact_server.health import HealthBoard, state_of, vitals_of
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store.events import counts
from afterfact_server.store.layout import SINGLE, Layout
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.schema import SESSIONS
from afterfact_server.store.watched import Watched


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched beside the sensors: alarms that stand, and the disk."""

    alarms: tuple[Alarm, ...] = ()
    disk_free: int = 0
    disk_total: int = 0


def status(
    client: Client, sensors: list[EnrolledSensor], ledger: Ledger, health: HealthBoard, watch: Watch, request: int,
    now: int, layout: Layout = SINGLE, networks: tuple[str, ...] = (), home: tuple[str, ...] = (),
) -> Status:  # fmt: skip
    """Ask the store and the boards. `sessions` counts stored records, several revisions of a session singly until
    they are merged. WireError for more sensors than a STATUS holds."""
    if len(sensors) > MAX_SENSORS_TOLD:
        raise WireError(f"{len(sensors)} sensors are enrolled, one message tells of {MAX_SENSORS_TOLD}")
    bounds = ledger.watched.bounds()
    rows, size = client.query(
        f"SELECT sum(rows), sum(bytes_on_disk) FROM {layout.system('parts')} "
        "WHERE active AND database = currentDatabase() AND table = {table:String}",
        parameters={"table": layout.local(SESSIONS)},
    ).result_rows[0]
    told = []
    for sensor in sensors:
        own = health.of(sensor.number)
        first, last = bounds.get(sensor.number, (0, 0))
        stored, quarantined = ledger.totals(sensor.number)
        state, why = state_of(sensor.revoked is not None, own, now, health.config, health.began)
        told.append(
            SensorStatus(
                name=sensor.name,
                net=sensor.net,
                state=state,
                last_contact=own.last_contact,
                first_data=first,
                last_data=last,
                sessions=stored,
                quarantined=quarantined,
                backlog_batches=own.backlog_batches,
                backlog_since=own.backlog_since,
                lost=ledger.watched.lost(sensor.number),
                clock_offset=own.clock_offset,
                software=own.software,
                vitals=vitals_of(own, state, why),
            )
        )
    oldest, newest = span(client)
    return fitting(
        Status(
            request, now, SOFTWARE, int(rows or 0), oldest, newest, int(size or 0), tuple(told), watch.disk_free,
            watch.disk_total, watch.alarms[:MAX_ALARMS_TOLD], networks[:MAX_NETWORKS_TOLD],
            *events_by_name(counts(client), {sensor.number: sensor.name for sensor in sensors}),
            home if len(home) <= MAX_NETWORKS_TOLD else None,
        )
    )  # fmt: skip


def events_by_name(
    counted: Mapping[int, tuple[int, int]], names: Mapping[int, str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Events stored and events set aside, of the sensors that have some."""
    known = [(names[number], *both) for number, both in counted.items() if number in names]
    return {name: stored for name, stored, _ in known if stored}, {name: aside for name, _, aside in known if aside}


def fitting(status: Status) -> Status:
    """The status without the vitals of as many sensors, those in the best states, as keep it from fitting a message;
    and if that is not enough, without the networks' names and the counts of events, then without the newest alarms."""
    worst_first = sorted(status.sensors, key=lambda sensor: WORST_FIRST.index(sensor.state))
    told = len(worst_first)
    while told or status.networks or status.home or status.events or status.events_set_aside or status.alarms:
        try:
            encode(status)
            break
        except WireError:
            if not told and (status.networks or status.home or status.events or status.events_set_aside):
                status = replace(status, networks=(), home=None, events={}, events_set_aside={})
                continue
            if not told:
                status = replace(status, alarms=status.alarms[: len(status.alarms) // 2])
                continue
            told //= 2
            bare = {sensor.name for sensor in worst_first[told:]}
            sensors = (replace(each, vitals=None) if each.name in bare else each for each in status.sensors)
            status = replace(status, sensors=tuple(sensors))
    return status


def of_these(status: Status) -> Status:
    """Of the whole store as an account may know it that is to know only of the sensors told: their sum, the first and
    last that they saw, their alarms."""
    names = {sensor.name for sensor in status.sensors}
    return replace(
        status,
        sessions=sum(sensor.sessions for sensor in status.sensors),
        oldest=min((sensor.first_data for sensor in status.sensors if sensor.first_data), default=0),
        newest=max((sensor.last_data for sensor in status.sensors), default=0),
        disk_bytes=0,
        alarms=tuple(alarm for alarm in status.alarms if alarm.subject in names),
    )


_BEFORE: dict[SensorState, SensorState] = {
    "late": "up", "lagging": "late", "losing": "up", "blind": "down", "done": "down",
}  # fmt: skip


def for_version_1(message: Message) -> Message:
    """A STATUS in the five words for a sensor that version 1 of the protocol knows; other messages as they are."""
    if not isinstance(message, Status):
        return message
    sensors = (replace(sensor, state=_BEFORE.get(sensor.state, sensor.state)) for sensor in message.sensors)
    return replace(message, sensors=tuple(sensors))


def oldest(client: Client, watched: Watched) -> int:
    """Start of the earliest session stored or of the first time watched, in microseconds; 0 for an empty store."""
    first, _ = span(client)
    starts = [start for start, _ in watched.bounds().values()]
    return min([*starts, first] if first else starts, default=0)


def span(client: Client) -> tuple[int, int]:
    """Earliest and latest start_time stored, in microseconds; (0, 0) while the store is empty."""
    count, oldest, newest = client.query(
        "SELECT count(), toUnixTimestamp64Micro(min(start_time)), toUnixTimestamp64Micro(max(start_time)) "
        f"FROM {SESSIONS}"
    ).result_rows[0]
    return (int(oldest), int(newest)) if count else (0, 0)
