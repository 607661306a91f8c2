"""The directory of a server: what lies where in it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what most commands do without, and what takes long to import
    from afterfact_protocol.transport import KeyPair
    from afterfact_server.config import Config


class ServerDir:
    """What `afterfact-server init` made, or will make."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "server.toml"
        self.keys_file = self.path / "server.keys"
        self.registry = self.path / "registry.sqlite"
        self.control = self.path / "control"
        self.audit = self.path / "audit"
        self.lock = self.path / "lock"
        self.running = self.path / "running"
        """There while a server runs, and after one that was not stopped."""

    def config(self, **changes: str) -> "Config":
        """server.toml's, with `changes` from the command line. ConfigError."""
        from afterfact_server.config import read_config

        return read_config(self.config_file, **changes)

    def keys(self) -> "KeyPair":
        """The server's own CURVE key pair. ConfigError."""
        from afterfact_server.config import read_keys

        return read_keys(self.keys_file)

    def sessions(self, config: "Config") -> Path:
        """Where the embedded store is."""
        return self.path / (config.store or "sessions")

    def registry_url(self, config: "Config") -> str:
        return config.registry or f"sqlite:///{self.registry}"
