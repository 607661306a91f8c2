"""Suricata's EVE JSON: flow and netflow events as sessions, alerts as events, stats as what was watched and lost.

lines.py has what is read of a line, sessions.py and sides.py what flows mean, netflow.py puts two directions together,
alerts.py makes events, stats.py intervals; format.py is what formats.py knows. docs/importing.md has the fields.
"""
