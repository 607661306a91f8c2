"""How a table of the store is laid out: one table on one server, or, where a cluster is named, a replicated one on
every node under a Distributed one that holds them together.

Makes names and DDL text; runs nothing. Reads and inserts go to a table's own name either way. What is done to parts
(drop, delete, freeze) goes to `local(table)` and says `on_cluster`.
"""

from dataclasses import dataclass

DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"
# A replicated table takes an insert whose bytes it had before for a repetition and drops it without a word: what was
# dropped or replaced and comes again would be lost. Rows are told apart by their key here, not by their block.
_NO_BLOCK_WINDOW = "replicated_deduplication_window = 0"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the store, wherever it lies."""

    name: str
    columns: str
    order: str
    version: str = ""
    """Of rows with the same key the one with the highest value here counts; empty: all rows count."""
    partition: str = ""
    shard: str = "0"
    """Which shard of a cluster a row lies on. All rows of a key must lie on one, for FINAL to see them together."""
    settings: str = ""
    ttl: str = ""
    """Rows are deleted when this time has passed."""
    durable: bool = True
    """False for what is not worth an fsync: a power cut may cost the last of it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tables are. `cluster` is a name from the servers' `remote_servers`; empty: one server."""

    cluster: str = ""

    @property
    def on_cluster(self) -> str:
        return f" ON CLUSTER {_name(self.cluster)}" if self.cluster else ""

    def local(self, table: str) -> str:
        """The table that has the parts."""
        return f"{table}_local" if self.cluster else table

    def system(self, table: str) -> str:
        """A table of `system`: of one replica of every shard."""
        return f"cluster({_quoted(self.cluster)}, system.{table})" if self.cluster else f"system.{table}"

    def create(self, table: Table) -> tuple[str, ...]:
        """The statements that make it where it is missing."""
        arguments = [table.version] if table.version else []
        engine = "ReplacingMergeTree" if table.version else "MergeTree"
        settings = [part for part in (DURABLE if table.durable else "", table.settings) if part]
        if self.cluster:
            engine = f"Replicated{engine}"
            arguments = ["'/clickhouse/tables/{shard}/{database}/{table}'", "'{replica}'", *arguments]
            settings.append(_NO_BLOCK_WINDOW)
        partition = f"PARTITION BY {table.partition} " if table.partition else ""
        ttl = f" TTL {table.ttl}" if table.ttl else ""
        ending = f" SETTINGS {', '.join(settings)}" if settings else ""
        made = (
            f"CREATE TABLE IF NOT EXISTS {self.local(table.name)}{self.on_cluster} ({table.columns}) "
            f"ENGINE = {engine}({', '.join(arguments)}) {partition}ORDER BY ({table.order}){ttl}{ending}"
        )
        if not self.cluster:
            return (made,)
        over = (
            f"CREATE TABLE IF NOT EXISTS {table.name}{self.on_cluster} AS {self.local(table.name)} "
            f"ENGINE = Distributed({_quoted(self.cluster)}, currentDatabase(), {self.local(table.name)}, {table.shard})"
        )
        return made, over

    def add_column(self, table: str, name: str, definition: str) -> tuple[str, ...]:
        """The statements that give a table a column more."""
        return tuple(
            f"ALTER TABLE {each}{self.on_cluster} ADD COLUMN IF NOT EXISTS {name} {definition}"
            for each in dict.fromkeys((self.local(table), table))
        )

    def add_index(self, table: str, name: str, definition: str) -> tuple[str, ...]:
        """The statements that give a table a skip index more. What is stored is indexed in the background."""
        altered = f"ALTER TABLE {self.local(table)}{self.on_cluster}"
        return f"{altered} ADD INDEX IF NOT EXISTS {name} {definition}", f"{altered} MATERIALIZE INDEX {name}"


SINGLE = Layout()
"""One server, the embedded one among them."""


def _name(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
