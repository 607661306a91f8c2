"""How a sensor fared over a day and a month, a step a cell: what the strips of the health window show."""

from dataclasses import dataclass
from typing import Literal

from afterfact_protocol.messages import HealthPoint, SensorHealth

HOUR = 3600 * 1_000_000
LAGGING = 120 * 1_000_000
"""Microseconds that the oldest batch waited from which on a step is one with a backlog."""

Cell = Literal["none", "good", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Span:
    """A strip: its title, its length in microseconds, its steps."""

    title: str
    length: int
    steps: int
    each: str


SPANS = (Span("24 h", 24 * HOUR, 96, "15 min"), Span("30 d", 720 * HOUR, 120, "6 h"))
ABOUT = (
    "what the sensor reported, step by step: low and green, it reported; higher and yellow, batches waited; full and "
    "red, it lost packets, sessions or an interface; empty, no report came: nothing is known"
)


def cells(health: SensorHealth, span: Span) -> tuple[Cell, ...]:
    """The worst of each step, the oldest first."""
    found: list[Cell] = ["none"] * span.steps
    length = max(health.end - health.start, 1)
    for point in health.points:
        at = (point.start - health.start) * span.steps // length
        if 0 <= at < span.steps:
            found[at] = max(found[at], _of(point), key=("none", "good", "warning", "error").index)
    return tuple(found)


def _of(point: HealthPoint) -> Cell:
    if point.kernel_dropped or point.interface_dropped or point.spool_dropped or point.interfaces_missing:
        return "error"
    if point.backlog_age > LAGGING or point.evicted:
        return "warning"
    return "good" if point.reports else "none"


def told(found: tuple[Cell, ...], span: Span) -> str:
    """A strip in words."""
    counts = {cell: found.count(cell) for cell in ("good", "warning", "error", "none")}
    words = (("reported", "good"), ("batches waited", "warning"), ("losing", "error"), ("no report", "none"))
    parts = [f"{name} in {counts[cell]}" for name, cell in words if counts[cell]]
    return f"Last {span.title}, {span.steps} steps of {span.each}: {', '.join(parts)}"
