"""Asks an Afterfact server: the library that the command line, the console and scripts share.

import afterfact_client
with afterfact_client.connect("CONSOLE.toml", "ana", password) as client:
    result = client.query("WHERE port = 1034 LIMIT 500")
    rows = result.fetch()      # numpy structured array, dtype afterfact_protocol.session.ROW
    frame = result.to_pandas() # or to_polars(), to_arrow(), columns() (numpy), blocks() (as it comes)
    table = client.query("LAST 24h | sum(bytes) AS b BY src_ip TOP 10").fetch()
    table.array("b")           # numpy array; table.behind(0) is the query for the sessions of the first row
"""

from afterfact_client.client import Client, Result, TableResult, connect
from afterfact_client.link import ConnectError, LinkLost, RequestFailed

__all__ = ["Client", "ConnectError", "LinkLost", "RequestFailed", "Result", "TableResult", "connect"]
