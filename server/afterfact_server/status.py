"""The state of all sensors and of the store, as STATUS tells it."""

from typing import Literal

from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import MAX_SENSORS_TOLD, SensorStatus, Status
from afterfact_protocol.versions import SOFTWARE
from afterfact_server.coverage import observed_bounds
from afterfact_server.health import LATE_SECONDS, UP_SECONDS, Health, HealthBoard
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store.layout import SINGLE, Layout
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.schema import SESSIONS

State = Literal["up", "late", "down", "never", "revoked"]


def state_of(sensor: EnrolledSensor, health: Health, last_data: int, now: int) -> State:
    """One word for a sensor."""
    if sensor.revoked is not None:
        return "revoked"
    if not health.last_contact:
        return "down" if last_data else "never"
    if now - health.last_contact > UP_SECONDS * 1_000_000:
        return "down"
    waits = health.backlog_since and now + health.clock_offset - health.backlog_since > LATE_SECONDS * 1_000_000
    return "late" if waits else "up"


def status(
    client: Client,
    sensors: list[EnrolledSensor],
    ledger: Ledger,
    health: HealthBoard,
    request: int,
    now: int,
    layout: Layout = SINGLE,
) -> Status:
    """Ask the store and the boards. `sessions` counts stored records, several revisions of a session singly until
    they are merged. WireError for more sensors than a STATUS holds."""
    if len(sensors) > MAX_SENSORS_TOLD:
        raise WireError(f"{len(sensors)} sensors are enrolled, one message tells of {MAX_SENSORS_TOLD}")
    bounds = observed_bounds(client)
    rows, size = client.query(
        f"SELECT sum(rows), sum(bytes_on_disk) FROM {layout.system('parts')} "
        "WHERE active AND database = currentDatabase() AND table = {table:String}",
        parameters={"table": layout.local(SESSIONS)},
    ).result_rows[0]
    told = []
    for sensor in sensors:
        own = health.of(sensor.number)
        first, last, lost = bounds.get(sensor.number, (0, 0, 0))
        stored, quarantined = ledger.totals(sensor.number)
        told.append(
            SensorStatus(
                name=sensor.name,
                net=sensor.net,
                state=state_of(sensor, own, last, now),
                last_contact=own.last_contact,
                first_data=first,
                last_data=last,
                sessions=stored,
                quarantined=quarantined,
                backlog_batches=own.backlog_batches,
                backlog_since=own.backlog_since,
                lost=lost,
                clock_offset=own.clock_offset,
                software=own.software,
            )
        )
    oldest, newest = span(client)
    return Status(request, now, SOFTWARE, int(rows or 0), oldest, newest, int(size or 0), tuple(told))


def oldest(client: Client) -> int:
    """Start of the earliest session stored or of the first time watched, in microseconds; 0 for an empty store."""
    first, _ = span(client)
    starts = [start for start, _, _ in observed_bounds(client).values()]
    return min([*starts, first] if first else starts, default=0)


def span(client: Client) -> tuple[int, int]:
    """Earliest and latest start_time stored, in microseconds; (0, 0) while the store is empty."""
    count, oldest, newest = client.query(
        "SELECT count(), toUnixTimestamp64Micro(min(start_time)), toUnixTimestamp64Micro(max(start_time)) "
        f"FROM {SESSIONS}"
    ).result_rows[0]
    return (int(oldest), int(newest)) if count else (0, 0)
