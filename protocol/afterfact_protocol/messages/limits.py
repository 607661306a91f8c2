"""Limits of messages, and the types of their fields."""

from typing import Annotated, Literal

from pydantic import Field

MAX_BATCH_BYTES = 256 * 1024
"""Rows of one batch or one page; the frame around them stays under transport.MAX_FRAME_BYTES."""
MAX_CREDIT = 64
"""Most batches an agent may have sent and not yet seen acknowledged."""
FIRST_CREDIT = 4
"""The same in version 1 of the protocol."""
MAX_OPENS = 8
"""Most OPENs an agent may have sent and not yet seen answered."""
MAX_RANGES = 4096
"""Most ranges of batch numbers that OPENED names."""
MAX_SENSORS_TOLD = 4096
"""Most sensors that one ANSWER or STATUS speaks of."""
MAX_LATE = 16
"""Most late deliveries told of one sensor."""
MAX_UNSEEN = 16
"""Most addresses and networks told that no sensor sees."""
VITALS_SPAN = 600 * 1_000_000
"""Microseconds that a sensor's last while is: what VITALS count."""
MAX_POINTS = 1000
"""Most points that one SENSOR_HEALTH tells of a sensor's past."""
MAX_ALARMS_TOLD = 1024
MAX_NETWORKS_TOLD = 1024
MAX_QUERY_BYTES = 16 * 1024
MAX_QUEUE_ROWS = 500
"""Most rows of the queue, events or actions that one message tells of or acts on."""
MAX_WATCHES = 1000
"""Watches that a server has, removed and expired ones not counted, and that one message tells of."""
MAX_SETS_TOLD = 2000
MAX_EXCLUSIONS_TOLD = 200
MAX_SAVED = 1000
"""Saved queries and views of the team."""
MAX_COMMENTS = 4096
"""Values of one message that something is said of."""

U64 = Annotated[int, Field(ge=0, lt=1 << 64)]
U32 = Annotated[int, Field(ge=0, lt=1 << 32)]
I64 = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Name = Annotated[str, Field(max_length=255)]
Line = Annotated[str, Field(max_length=4096)]
StreamId = Annotated[bytes, Field(min_length=16, max_length=16)]
Digest = Annotated[bytes, Field(max_length=32)]
Rows = Annotated[bytes, Field(max_length=MAX_BATCH_BYTES)]
Columns = Annotated[tuple[tuple[Name, Name], ...], Field(max_length=64)]
"""Names and numpy types of a packed record, in order: ("start_time", "<i8"), ..."""
QueueStatus = Annotated[int, Field(ge=0, le=9)]
"""0 open, 1 to 7 the categories I to VII, 8 no action, 9 escalated."""
StreamKind = Literal["live", "files", "import"]
SetKind = Literal["address", "port", "endpoint", "community_id", "session"]
"""What the values of a named set are."""
SetMode = Literal["new", "replace", "add", "remove"]
"""What becomes of values that are brought in."""
SensorState = Literal["up", "late", "lagging", "losing", "blind", "down", "never", "done", "revoked"]
"""One word for a sensor; docs/operations.md defines them."""
WORST_FIRST: tuple[SensorState, ...] = (
    "down", "blind", "losing", "lagging", "late", "up", "done", "revoked", "never",
)  # fmt: skip
