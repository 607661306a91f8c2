"""What another meter does not know is absent wherever the console shows, copies or adds up: never a 0 nobody told."""

from pathlib import Path

import numpy as np
import pytest
from helpers.fake_link import SENSORS
from helpers.fake_link import sessions as some
from helpers.foreign import CASE, KNOWN, WRITTEN

from afterfact_agent.importing.run import import_files
from afterfact_client.state import details
from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.totals import totals
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD, RECORD_FIELDS

NULLABLE = frozenset(field.name for field in RECORD_FIELDS if field.nullable)


def imported(path: Path, name: str) -> Records:
    """As an answer has them."""
    form, text = WRITTEN[name]
    path.write_text(text())
    records = np.concatenate(list(import_files([path], form).records()))
    rows = some(len(records))
    for field in RECORD.names or ():
        rows[field] = records[field]
    return rows


@pytest.mark.parametrize("name", WRITTEN)
def test_only_what_is_known_is_shown(tmp_path: Path, name: str) -> None:
    rows = imported(tmp_path / name, name)
    assert len(rows) == len(CASE)
    for field in NULLABLE:
        shown = BY_NAME[field].texts(rows, SENSORS)
        assert [text is not None for text in shown] == [field in KNOWN[name]] * len(rows), field
        assert [text != "" for text in BY_NAME[field].exact(rows, SENSORS)] == [field in KNOWN[name]] * len(rows), field


@pytest.mark.parametrize("name", WRITTEN)
def test_what_lies_in_an_absent_field_is_never_looked_at(tmp_path: Path, name: str) -> None:
    """Whatever is there in place of zeros, the same words, texts and sums."""
    rows = imported(tmp_path / name, name)
    other = rows.copy()
    for field in NULLABLE - KNOWN[name]:
        value = b"x" if other.dtype[field].kind == "S" else bytes([9] * 16) if other.dtype[field].kind == "V" else 3
        other[field] = np.array(value, other.dtype[field])
    for mine, theirs in zip(rows, other, strict=True):
        assert details.facts(mine, SENSORS) == details.facts(theirs, SENSORS)
    for column in BY_NAME.values():
        assert column.texts(rows, SENSORS) == column.texts(other, SENSORS), column.name


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_adds_up_to_zero_that_nobody_counted(tmp_path: Path, name: str) -> None:
    said = totals(imported(tmp_path / name, name))
    assert "77 packets, " in said
    if "src_bytes" in KNOWN[name]:
        assert ", 12,110 bytes, " in said and "known" not in said
    else:
        assert ", bytes not known, " in said and said.endswith("; of 7 not all is known")
