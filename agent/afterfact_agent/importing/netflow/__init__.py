"""NetFlow and IPFIX as nfcapd collected them: its files, through `nfdump`, and nfdump's CSV.

source.py runs nfdump, lines.py reads its lines by their header, seen.py knows those that were in an earlier file,
pairs.py makes sessions of flow records, sessions.py makes session records of those; format.py is what formats.py knows.
"""
