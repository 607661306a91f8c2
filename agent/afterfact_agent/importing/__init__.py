"""Sessions that other meters made: their files' lines become records like the meter's own.

lines.py cuts files into blocks of lines; a format (format.py; formats.py lists them) makes records of a block; run.py
goes through files and tells what was taken, skipped and rejected. Knows neither spool nor output formats.
"""
