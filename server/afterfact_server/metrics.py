"""Metrics for Prometheus, served by HTTP from what the server has in memory: a scrape never asks the store."""

from collections.abc import Callable, Iterable
from typing import Any, get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from afterfact_protocol.messages import SensorState
from afterfact_protocol.versions import SOFTWARE
from afterfact_server.errors import ConfigError
from afterfact_server.health import UNDECODED, HealthBoard, state_of
from afterfact_server.health_config import host_and_port
from afterfact_server.ingest import Ingest, now_us
from afterfact_server.queries import QueryService
from afterfact_server.registry.enrolment import Admission
from afterfact_server.status import Watch
from afterfact_server.store.ledger import Ledger

SECOND = 1_000_000


class Metrics(Collector):
    """Collected anew at each scrape."""

    def __init__(
        self, board: HealthBoard, admission: Admission, ledger: Ledger, ingest: Ingest, queries: QueryService,
        watch: Callable[[], Watch],
    ) -> None:  # fmt: skip
        self._board = board
        self._admission = admission
        self._ledger = ledger
        self._ingest = ingest
        self._queries = queries
        self._watch = watch

    def collect(self) -> Iterable[Metric]:
        yield from self._sensors()
        yield from self._server()

    def _sensors(self) -> Iterable[Metric]:
        now = now_us()
        states: list[str] = list(get_args(SensorState))
        state = _gauge("state", "1 for the state that the sensor is in, 0 for the others.", "state")
        contact = _gauge("last_contact_timestamp_seconds", "When anything was last heard of it, by the server's clock.")
        packets = _counter("packets", "Packets captured or read since its agent's start.")
        dropped = _counter("dropped_packets", "Packets lost since its agent's start, by who dropped them.", "by")
        undecoded = _counter(
            "undecoded_packets", "Packets that could not be decoded since its agent's start.", "reason"
        )
        evicted = _counter("evicted_sessions", "Sessions ended early to make room since its agent's start.")
        spool = _counter("spool_dropped_sessions", "Sessions that gave way in its spool since its agent's start.")
        opened = _gauge("open_sessions", "Sessions that its agent is counting.")
        batches = _gauge("backlog_batches", "Batches in its spool that are not acknowledged.")
        size = _gauge("backlog_bytes", "Bytes of those.")
        age = _gauge("backlog_age_seconds", "How long the oldest of those has waited, at the last report.")
        offset = _gauge("clock_offset_seconds", "Its clock minus the server's.")
        stored = _gauge("stored_records", "Session records in the store from it, revisions singly.")
        aside = _gauge("quarantined_records", "Session records set aside because their time cannot be.")
        for number, sensor in self._admission.sensors().items():
            name = sensor.name
            own = self._board.of(number)
            word, _ = state_of(sensor.revoked is not None, own, now, self._board.config, self._board.began)
            for each in states:
                state.add_metric([name, each], each == word)
            records, quarantined = self._ledger.totals(number)
            stored.add_metric([name], records)
            aside.add_metric([name], quarantined)
            if not own.reported:
                continue
            counters = own.counters
            contact.add_metric([name], own.last_contact / SECOND)
            packets.add_metric([name], counters.get("packets", 0))
            dropped.add_metric([name, "kernel"], counters.get("kernel_dropped", 0))
            dropped.add_metric([name, "interface"], counters.get("interface_dropped", 0))
            for reason, count in counters.items():
                if reason.startswith(UNDECODED):
                    undecoded.add_metric([name, reason.removeprefix(UNDECODED)], count)
            evicted.add_metric([name], counters.get("evicted", 0))
            spool.add_metric([name], counters.get("spool_dropped_sessions", 0))
            opened.add_metric([name], own.open_sessions)
            batches.add_metric([name], own.backlog_batches)
            size.add_metric([name], own.backlog_bytes)
            age.add_metric([name], own.backlog_age / SECOND)
            offset.add_metric([name], own.clock_offset / SECOND)
        yield from (state, contact, packets, dropped, undecoded, evicted, spool, opened, batches, size, age, offset)
        yield from (stored, aside)

    def _server(self) -> Iterable[Metric]:
        yield InfoMetricFamily("afterfact_server", "The server's software.", {"version": SOFTWARE})
        watch = self._watch()
        tally = self._queries.tally
        yield CounterMetricFamily(
            "afterfact_ingested_records", "Session records made durable and acknowledged since the server's start.",
            self._board.acknowledged_records,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "afterfact_ingest_queue", "Messages of sensors that wait for the store.", self._ingest.waiting
        )
        yield GaugeMetricFamily("afterfact_queries_running", "Requests of consoles being worked on.", tally.running)
        yield CounterMetricFamily("afterfact_queries", "Queries worked on since the server's start.", tally.ended)
        yield CounterMetricFamily("afterfact_query_seconds", "Time that those took.", tally.seconds)
        yield GaugeMetricFamily("afterfact_disk_free_bytes", "Free where the store lies.", watch.disk_free)
        yield GaugeMetricFamily("afterfact_disk_total_bytes", "In all where the store lies.", watch.disk_total)
        alarms = GaugeMetricFamily("afterfact_alarms", "Alarms that stand.", labels=["alarm", "sensor"])
        for alarm in watch.alarms:
            alarms.add_metric([alarm.kind, alarm.subject], 1)
        yield alarms


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"afterfact_sensor_{name}", text, labels=["sensor", *labels])


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"afterfact_sensor_{name}", text, labels=["sensor", *labels])


class MetricsServer:
    """Serves them at HOST:PORT until it is stopped."""

    def __init__(self, listen: str, metrics: Metrics) -> None:
        self._listen = listen
        self._registry = CollectorRegistry()
        self._registry.register(metrics)
        self._server: Any = None

    def start(self) -> None:
        """ConfigError if it cannot listen there."""
        host, port = host_and_port(self._listen)
        try:
            self._server, self._thread = start_http_server(port, host, self._registry)
        except OSError as error:
            raise ConfigError(f"cannot listen at {self._listen} for metrics: {error.strerror or error}; choose another "
                              "`listen` under [metrics] in server.toml") from None  # fmt: skip

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
