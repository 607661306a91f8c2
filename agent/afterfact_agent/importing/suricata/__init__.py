"""Suricata's EVE JSON: flow and netflow events as sessions, stats as what was watched and lost, other events skipped.

lines.py has what is read of a line, sessions.py what flows mean, netflow.py puts the two directions together, stats.py
makes intervals; format.py is what formats.py knows. docs/importing.md has the fields.
"""
