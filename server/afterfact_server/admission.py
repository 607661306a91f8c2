"""The ZAP handler: asks the enrolled keys at every CURVE handshake. Domains are the two ports."""

from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from afterfact_server.registry.enrolment import Admission

SENSORS = "sensors"
CONSOLES = "consoles"


class _Sensors:
    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def callback(self, domain: str, key: bytes) -> bool:
        return self._admission.sensor(key.decode("ascii")) is not None


class _Consoles:
    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def callback(self, domain: str, key: bytes) -> bool:
        return self._admission.console(key.decode("ascii")) is not None


class ZapHandler:
    """Runs pyzmq's authenticator on its own thread. While it does not run, nobody is admitted."""

    def __init__(self, context: "zmq.Context[Any]", admission: Admission) -> None:
        self._authenticator = ThreadAuthenticator(context)
        self._admission = admission

    def start(self) -> None:
        """Start it before a port is bound: a handshake that it does not know how to judge yet is refused with 400,
        which the peer takes for a revoked key and ends."""
        self._authenticator.configure_curve_callback(SENSORS, _Sensors(self._admission))
        self._authenticator.configure_curve_callback(CONSOLES, _Consoles(self._admission))
        self._authenticator.start()

    def stop(self) -> None:
        self._authenticator.stop()
