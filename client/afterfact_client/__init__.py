"""Asks an Afterfact server: the library that the command line, the console and scripts share.

import afterfact_client
with afterfact_client.connect("CONSOLE.toml", "ana", password) as client:
    result = client.query("WHERE port = 1034 LIMIT 500")
    rows = result.fetch()      # numpy structured array, dtype afterfact_protocol.session.ROW
"""

from afterfact_client.client import Client, Result, connect
from afterfact_client.link import ConnectError, LinkLost, RequestFailed

__all__ = ["Client", "ConnectError", "LinkLost", "RequestFailed", "Result", "connect"]
