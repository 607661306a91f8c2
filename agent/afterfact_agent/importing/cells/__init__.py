"""Compiled kernels that cut lines into cells and make numbers, times, addresses and text of them.

values.py reads one cell, table.py all cells of many lines. Only kernels are here: their sources name the cache of
compiled code. What a cell means is the formats'.
"""
