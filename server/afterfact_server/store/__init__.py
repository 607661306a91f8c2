"""The session store: ClickHouse, embedded (chdb) or a server by DSN; one SQL for both."""
