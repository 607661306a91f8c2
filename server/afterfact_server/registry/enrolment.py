"""Sensors and console keys: enrolled, listed, revoked; and the set of admitted keys that the sockets ask."""

import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import selectinload

from afterfact_protocol.messages import MAX_SENSORS_TOLD
from afterfact_protocol.transport import KeyPair
from afterfact_server.errors import RegistryError
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.tables import ConsoleKey, Sensor, SensorKey

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_SENSORS = MAX_SENSORS_TOLD
"""Numbers are not given twice; the store has room for 65,535, a message of coverage for fewer."""


@dataclass(frozen=True, slots=True)
class EnrolledSensor:
    """A sensor as the rest of the server needs it. `new_key`: the one that rotation made and nobody has used yet."""

    number: int
    name: str
    net: str
    enrolled: datetime
    revoked: datetime | None
    new_key: str | None = None


def check_name(name: str, what: str) -> None:
    """RegistryError unless `name` can name a sensor, a network or an account."""
    if not NAME.fullmatch(name):
        raise RegistryError(f"{name!r} cannot name {what}: use up to 64 letters, digits, '.', '_' and '-'")


class Enrolment:
    """Changes and lists enrolments. Safe from several threads; each call is one transaction.

    RegistryError from any of them if the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def enrol_sensor(self, name: str, net: str) -> KeyPair:
        """A new sensor's key pair. Only the public half is kept. RegistryError if the name is taken."""
        check_name(name, "a sensor")
        check_name(net, "a network")
        keys = KeyPair.generate()
        with transaction(self._engine) as session:
            if session.scalar(select(Sensor).where(Sensor.name == name)):
                raise RegistryError(f"a sensor {name!r} is enrolled already; choose another name, since sessions are "
                                    "kept under it")  # fmt: skip
            if (session.scalar(select(func.max(Sensor.number))) or 0) >= MAX_SENSORS:
                raise RegistryError(f"{MAX_SENSORS} sensors have been enrolled; a server tells of no more: run another")
            sensor = Sensor(name=name, net=net, enrolled=utc_now(), revoked=None)
            sensor.keys.append(SensorKey(public_key=keys.public, created=utc_now(), revoked=None))
            session.add(sensor)
        return keys

    def rotate_sensor(self, name: str) -> KeyPair:
        """A new key pair for a sensor, whose key until now stays admitted until the new one is first used (`retire`).
        One that was made before and never used is void."""
        keys = KeyPair.generate()
        with transaction(self._engine) as session:
            sensor = session.scalar(select(Sensor).where(Sensor.name == name))
            if sensor is None:
                raise RegistryError(f"no sensor {name!r}; see: afterfact-server sensor list")
            if sensor.revoked is not None:
                raise RegistryError(f"sensor {name} is revoked; enrol another in its place")
            for unused in _admitted(sensor)[1:]:
                unused.revoked = utc_now()
            # Later than the key in use, whatever the clock did: their order says which replaces which.
            created = max(utc_now(), max(key.created for key in sensor.keys) + timedelta(microseconds=1))
            sensor.keys.append(SensorKey(public_key=keys.public, created=created, revoked=None))
        return keys

    def retire(self, public_key: str) -> str | None:
        """A key is in use: revoke those that it was made to replace. The sensor's name; None if there were none."""
        with transaction(self._engine) as session:
            key = session.get(SensorKey, public_key)
            if key is None or key.revoked is not None:
                return None
            older = _admitted(key.sensor)
            older = older[: older.index(key)]
            for each in older:
                each.revoked = utc_now()
            return key.sensor.name if older else None

    def revoke_sensor(self, name: str) -> None:
        """Lock a sensor out; what it delivered stays."""
        with transaction(self._engine) as session:
            sensor = session.scalar(select(Sensor).where(Sensor.name == name))
            if sensor is None:
                raise RegistryError(f"no sensor {name!r}; see: afterfact-server sensor list")
            now = utc_now()
            sensor.revoked = sensor.revoked or now
            for key in sensor.keys:
                key.revoked = key.revoked or now

    def sensors(self) -> list[EnrolledSensor]:
        """All sensors ever enrolled, revoked ones too, by number."""
        with transaction(self._engine) as session:
            return [
                EnrolledSensor(row.number, row.name, row.net, row.enrolled, row.revoked, _new_key(row))
                for row in session.scalars(select(Sensor).order_by(Sensor.number).options(selectinload(Sensor.keys)))
            ]

    def add_console(self, name: str) -> KeyPair:
        """A key pair that reaches the consoles' port."""
        keys = KeyPair.generate()
        with transaction(self._engine) as session:
            session.add(ConsoleKey(public_key=keys.public, name=name, created=utc_now(), revoked=None))
        return keys

    def keys(self) -> tuple[dict[str, int], dict[str, str]]:
        """Admitted keys: sensors' (key to sensor number) and consoles' (key to name)."""
        with transaction(self._engine) as session:
            sensors = session.execute(
                select(SensorKey.public_key, Sensor.number)
                .join(SensorKey.sensor)
                .where(SensorKey.revoked.is_(None), Sensor.revoked.is_(None))
            )
            consoles = session.execute(
                select(ConsoleKey.public_key, ConsoleKey.name).where(ConsoleKey.revoked.is_(None))
            )
            return {row[0]: row[1] for row in sensors}, {row[0]: row[1] for row in consoles}


def _admitted(sensor: Sensor) -> list[SensorKey]:
    """Keys of a sensor that are not revoked, as they were made."""
    return sorted((key for key in sensor.keys if key.revoked is None), key=lambda key: key.created)


def _new_key(sensor: Sensor) -> str | None:
    admitted = _admitted(sensor)
    return admitted[-1].public_key if len(admitted) > 1 else None


class Admission:
    """Which keys are admitted at this moment. The ZAP handler asks at a handshake, the ports on every message."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment
        self._lock = threading.Lock()
        self._sensors: dict[str, int] = {}
        self._consoles: dict[str, str] = {}
        self._by_number: dict[int, EnrolledSensor] = {}
        self.reload()

    def reload(self) -> None:
        """Take over what the relational store says now."""
        sensors, consoles = self._enrolment.keys()
        by_number = {sensor.number: sensor for sensor in self._enrolment.sensors()}
        with self._lock:
            self._sensors, self._consoles, self._by_number = sensors, consoles, by_number

    def sensor(self, public_key: str) -> EnrolledSensor | None:
        """The sensor that this key belongs to, or None if it is not admitted."""
        with self._lock:
            number = self._sensors.get(public_key)
            return None if number is None else self._by_number.get(number)

    def console(self, public_key: str) -> str | None:
        """The console's name, or None if the key is not admitted."""
        with self._lock:
            return self._consoles.get(public_key)

    def sensors(self) -> dict[int, EnrolledSensor]:
        """All sensors by number, revoked ones too."""
        with self._lock:
            return dict(self._by_number)
