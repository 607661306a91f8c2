"""Argus: its data files and live streams, through `ra`, and CSV that ra wrote.

rows.py reads ra's lines, merge.py makes one row of a flow's status records, sessions.py makes records of rows,
management.py tells what Argus says that it watched; source.py runs ra; format.py is what formats.py knows.
"""
