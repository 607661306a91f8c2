"""Copies hold exact values under the fields' names, and what was not known is empty."""

import csv
import io

from helpers.fake_link import SENSORS, sessions

from afterfact_client.state.columns import BY_NAME, DEFAULT
from afterfact_client.state.copying import selection_text
from afterfact_protocol.session import ROW
from afterfact_protocol.text import CsvWriter


def test_tab_separated() -> None:
    text = selection_text([BY_NAME[name] for name in ("start_time", "src_ip", "src_port", "duration")],
                          [sessions(10)[8:]], SENSORS, as_csv=False)  # fmt: skip
    assert text == (
        "start_time\tsrc_ip\tsrc_port\tduration\n"
        "2004-07-26T17:37:41.000000Z\t10.0.0.8\t1032\t1.142857\n"
        "2004-07-26T17:37:40.000000Z\t10.0.0.9\t\t1.285714\n"
    )


def test_csv_is_what_the_command_line_writes() -> None:
    rows = sessions(25)
    fields = [name for name in BY_NAME if name in ROW.names]  # type: ignore[operator]
    out = io.StringIO()
    writer = CsvWriter(out, ROW, SENSORS)
    writer.write(rows)
    assert selection_text([BY_NAME[name] for name in fields], [rows[:10], rows[10:]], SENSORS, True) == out.getvalue()


def test_what_needs_quoting_is_quoted() -> None:
    text = selection_text([BY_NAME[name] for name in DEFAULT[:2]], [sessions(1)], {1: 'a "b", c'}, as_csv=True)
    assert next(csv.reader(io.StringIO(text.splitlines()[1])))[0] == 'a "b", c'
