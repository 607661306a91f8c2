"""FIELDS holds together."""

import numpy as np
import pytest

from afterfact_protocol.session import BY_ALIAS, FIELDS, KEY, RECORD, ROW, Kind, Role, absent_bits

WIDTH = {"DateTime64(6, 'UTC')": 8, "UInt8": 1, "UInt16": 2, "UInt32": 4, "UInt64": 8, "IPv6": 16}


def test_names_and_numbers_are_unique() -> None:
    aliases = [alias for field in FIELDS for alias in (field.name, *field.aliases)]
    assert len(set(aliases)) == len(aliases) == len(BY_ALIAS)
    assert len({field.id for field in FIELDS}) == len(FIELDS)
    assert all(0 <= field.id < 64 for field in FIELDS)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_numpy_and_clickhouse_types_are_the_same_bytes(field) -> None:  # type: ignore[no-untyped-def]
    width = WIDTH.get(field.clickhouse)
    if width is None:
        width = int(field.clickhouse.removeprefix("FixedString(").removesuffix(")"))
    assert np.dtype(field.dtype).itemsize == width
    assert np.dtype(field.dtype).byteorder in "<|=" and not field.dtype.startswith(">")
    assert (field.names is not None) == (field.kind in (Kind.NAME, Kind.FLAGS))


def test_records_are_packed() -> None:
    assert RECORD.itemsize == sum(np.dtype(f.dtype).itemsize for f in FIELDS if f.role is not Role.STAMP)
    assert ROW.itemsize == sum(np.dtype(f.dtype).itemsize for f in FIELDS)
    assert set(KEY) <= {f.name for f in FIELDS if f.role is Role.IDENTITY} | {"sensor"}


def test_absent_bits() -> None:
    assert absent_bits("src_port", "dst_port") == 1 << 7 | 1 << 9
    with pytest.raises(ValueError, match="never absent"):
        absent_bits("start_time")
