"""Short trials of what goes wrong in months of running; scripts/bench faults makes long ones of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import trials
from helpers.network import Cable, cable, reason_not_to
from helpers.processes import Server

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file system of its own")
NO_NETWORK = reason_not_to()


def test_killed_again_and_again(server: Server, tmp_path: Path) -> None:
    assert trials.kills(server, tmp_path, count=6) > 1000


@pytest.fixture
def wire() -> Iterator[Cable]:
    with cable(f"f{os.getpid() % 100_000}") as made:
        yield made


@pytest.mark.skipif(bool(NO_NETWORK), reason=NO_NETWORK or "-")
def test_a_cable_that_is_cut(tmp_path: Path, wire: Cable) -> None:
    """For less than it takes to notice, and for more."""
    server = Server(tmp_path)
    server.host = "0.0.0.0"
    server.start()
    try:
        assert trials.cut_link(server, tmp_path, wire, [3, 20]) > 1000
    finally:
        server.stop()


@needs_root
def test_a_spool_on_a_full_disk(server: Server, tmp_path: Path) -> None:
    assert trials.full_disk_at_the_agent(server, tmp_path) > 1000


@needs_root
def test_a_store_on_a_full_disk(tmp_path: Path) -> None:
    with trials.small_disk(tmp_path / "disk", 400) as disk:
        server = Server(disk)
        server.start()
        try:
            assert trials.full_disk_at_the_server(server, tmp_path, disk) > 1000
        finally:
            server.stop()


def test_batches_doubled_and_out_of_order(server: Server, tmp_path: Path) -> None:
    assert trials.shuffled(server, tmp_path) > 1000


def test_damaged_files_in_the_spool(server: Server, tmp_path: Path) -> None:
    assert trials.corrupt_spool(server, tmp_path) > 1000


def test_many_sensors_at_once(server: Server, tmp_path: Path) -> None:
    assert trials.many_sensors(server, tmp_path, 40) > 1000


def test_nobody_is_admitted_without_the_handler(tmp_path: Path) -> None:
    trials.without_admission(tmp_path)
