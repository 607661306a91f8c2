"""What Prometheus gets over HTTP, read back by its own parser."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.processes import free_ports
from prometheus_client.parser import text_string_to_metric_families

from afterfact_protocol.messages import Alarm, Report
from afterfact_server.errors import ConfigError
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import now_us
from afterfact_server.metrics import Metrics, MetricsServer
from afterfact_server.queries import Tally
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.status import Watch

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Site:
    """Two sensors, of which one reports; what of the server's parts the metrics look at."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder}/registry.sqlite")
        enrolment = Enrolment(self.database)
        for name in ("border", "ins-ide"):
            enrolment.enrol_sensor(name, "dmz")
        self.board = HealthBoard(began=now_us())
        self.ingest = SimpleNamespace(waiting=3)
        self.queries = SimpleNamespace(tally=Tally(1, 20, 2.5))
        self.watch = Watch((Alarm("blind", "border", 1, "x"),), 10, 100)
        ledger = SimpleNamespace(totals=lambda number: (number * 100, number))
        self.metrics = Metrics(
            self.board, Admission(enrolment), ledger, self.ingest, self.queries, lambda: self.watch  # type: ignore[arg-type]
        )  # fmt: skip
        self.port = free_ports(1)[0]
        self.server = MetricsServer(f"127.0.0.1:{self.port}", self.metrics)
        self.server.start()

    def scrape(self) -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        families = text_string_to_metric_families(text)
        return {(one.name, tuple(sorted(one.labels.items()))): one.value for each in families for one in each.samples}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.server.stop()
    made.database.dispose()


def test_sensors_and_server(site: Site) -> None:
    now = now_us()
    counters = {"started": now, "packets": 1000, "kernel_dropped": 7, "interface_dropped": 2, "undecoded.cut_ip": 5,
                "open": 12, "evicted": 3, "interfaces": 1, "interfaces_missing": 1}  # fmt: skip
    site.board.report(1, Report(now + 2_000_000, 4, 4096, now - 28_000_000, counters), now)
    site.board.acknowledged(1, 50)
    got = site.scrape()

    def of(name: str, **labels: str) -> float:
        return got[f"afterfact_{name}", tuple(sorted(labels.items()))]

    assert of("sensor_state", sensor="border", state="blind") == 1
    assert of("sensor_state", sensor="border", state="up") == 0
    assert of("sensor_state", sensor="ins-ide", state="never") == 1
    assert of("sensor_packets_total", sensor="border") == 1000
    assert of("sensor_dropped_packets_total", sensor="border", by="kernel") == 7
    assert of("sensor_dropped_packets_total", sensor="border", by="interface") == 2
    assert of("sensor_undecoded_packets_total", sensor="border", reason="cut_ip") == 5
    assert of("sensor_evicted_sessions_total", sensor="border") == 3
    assert of("sensor_open_sessions", sensor="border") == 12
    assert of("sensor_backlog_batches", sensor="border") == 4
    assert of("sensor_backlog_age_seconds", sensor="border") == 30
    assert of("sensor_clock_offset_seconds", sensor="border") == 2
    assert of("sensor_stored_records", sensor="ins-ide") == 200
    assert of("sensor_quarantined_records", sensor="ins-ide") == 2
    assert of("ingested_records_total") == 50
    assert of("ingest_queue") == 3
    assert (of("queries_running"), of("queries_total"), of("query_seconds_total")) == (1, 20, 2.5)
    assert (of("disk_free_bytes"), of("disk_total_bytes")) == (10, 100)
    assert of("alarms", alarm="blind", sensor="border") == 1
    assert not any(name == "afterfact_sensor_packets_total" and ("sensor", "ins-ide") in labels for name, labels in got)
    site.board.report(1, Report(now, 0, 0, 0, {**counters, "packets": 1500, "interfaces_missing": 0}), now + 1)
    again = site.scrape()
    assert again["afterfact_sensor_packets_total", (("sensor", "border"),)] == 1500


def test_a_place_that_is_taken(site: Site) -> None:
    with pytest.raises(
        ConfigError, match=f"cannot listen at 127.0.0.1:{site.port} for metrics: Address already in use"
    ):
        MetricsServer(f"127.0.0.1:{site.port}", site.metrics).start()
