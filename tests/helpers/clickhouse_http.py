"""A ClickHouse server's HTTP interface over the embedded engine, as far as our clients use it: the way that a store by
DSN goes, where no ClickHouse server is to be had.

`python clickhouse_http.py FOLDER` prints the port that it listens on, on 127.0.0.1. Answers /ping, and statements in
`query`, a form or the body with typed parameters, settings, a database and data in any format. Without accounts,
sessions and compressed answers.
"""

import gzip
import json
import re
import sys
import tempfile
import uuid
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

TRANSPORT = {
    "query", "database", "query_id", "session_id", "session_timeout", "session_check", "wait_end_of_query", "compress",
    "decompress", "client_protocol_version", "enable_http_compression", "buffer_size", "default_format", "quota_key",
    "role", "send_progress_in_http_headers", "http_headers_progress_interval_ms", "user", "password",
}  # fmt: skip
INSERT = re.compile(rb"\s*(INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)\s*?(?:\n|$)", re.IGNORECASE | re.DOTALL)
DECODE = {"": bytes, "identity": bytes, "gzip": gzip.decompress, "lz4": lz4.frame.decompress}


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self.say(200, b"Ok.\n")
        else:
            self.run(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length is not None else b"".join(self.chunks())
        self.run(DECODE[self.headers.get("Content-Encoding", "")](body))

    def chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def run(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):  # parameters too long for a line
            form = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
            for part in form.get_payload():
                name = part.get_param("name", header="Content-Disposition")
                asked[name] = part.get_payload(decode=True).decode()
            body = b""
        statement = asked.get("query", "").encode()
        text = statement + b"\n" + body if statement else body
        parameters = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
        settings = {
            name: value for name, value in asked.items() if name not in TRANSPORT and not name.startswith("param_")
        }
        connection = chdb.connect(self.folder)
        try:
            if asked.get("database"):
                connection.query(f"USE `{asked['database']}`")
            for name, value in settings.items():
                connection.query(f"SET {name} = {quoted(value)}")
            self.say(200, self.answer(connection, text, parameters, asked.get("default_format", "TabSeparated")))
        except Exception as error:  # whatever the engine says is the answer
            said = str(error)
            found = re.search(r"Code: (\d+)", said)
            self.say(500, said.encode(), {"X-ClickHouse-Exception-Code": found.group(1) if found else "1002"})
        finally:
            connection.close()

    def answer(self, connection, text: bytes, parameters: dict[str, str], form: str) -> bytes:
        inserting = INSERT.match(text)
        if inserting is None:
            return connection.query(text.decode(), form, params=parameters).bytes() or b""
        with tempfile.NamedTemporaryFile(suffix=".data") as file:
            file.write(text[inserting.end() :])
            file.flush()
            into, data_format = (part.decode() for part in inserting.groups())
            connection.query(f"{into} FROM INFILE {quoted(file.name)} FORMAT {data_format}", params=parameters)
        return b""

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body)),
            "X-ClickHouse-Query-Id": str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": json.dumps({}),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    Handler.folder = sys.argv[1]
    holding = chdb.connect(Handler.folder)  # the engine stays open between requests
    server = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
