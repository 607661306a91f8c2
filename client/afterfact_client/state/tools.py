"""Outside tools that a value can be taken to: URLs and commands of the analyst's own file, tools.toml.

    [[tool]]
    name = "Reputation"
    for = ["address"]
    url = "https://reputation.example/ip/{value}"

    [[tool]]
    name = "Packets"
    for = ["session"]
    command = ["carve", "--sensor", "{sensor}", "--from", "{start_time}", "--host", "{src_ip}", "--host", "{dst_ip}"]

`{value}` is the value under the cursor, other names are columns of its row. In a URL each is percent-encoded; a command
is run without a shell, each value within the one argument where it stands, and never as an option.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from afterfact_client.state.columns import BY_NAME, Column

FILE = "tools.toml"
KINDS = ("address", "port", "session")
"""What `for` may name beside columns: every address, every port, and any cell."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A URL or a command (the other is empty)."""

    name: str
    where: tuple[str, ...]
    url: str = ""
    command: tuple[str, ...] = ()

    def fits(self, column: Column, row: np.void) -> bool:
        """Whether it is offered for the value of a row; not for one that the source did not know."""
        kinds = {column.name, "session", column.type.value}
        return bool(kinds & set(self.where)) and ("session" in self.where or not column.absent(np.array([row]))[0])

    def filled_url(self, column: Column, row: np.void, sensors: Mapping[int, str]) -> str:
        """The URL of a row."""
        return _filled(self.url, column, row, sensors, lambda value: quote(value, safe=""))

    def filled_command(self, column: Column, row: np.void, sensors: Mapping[int, str]) -> list[str]:
        """Program and arguments for a row. ValueError where a value would be taken for an option."""
        words = [_filled(word, column, row, sensors, str) for word in self.command]
        for template, word in zip(self.command, words, strict=True):
            if word.startswith("-") and not template.startswith("-"):
                raise ValueError(f"{self.name}: the value {word!r} would be taken for an option; nothing was run")
        return words


def _filled(template: str, column: Column, row: np.void, sensors: Mapping[int, str], spell: Any) -> str:
    rows = np.array([row])
    parts = []
    for text, name, _, _ in Formatter().parse(template):
        parts.append(text)
        if name is not None:
            wanted = column if name == "value" else BY_NAME[name]
            parts.append(spell(wanted.exact(rows, sensors)[0]))
    return "".join(parts)


def tools_place(environment: "os._Environ[str] | dict[str, str]" = os.environ) -> Path:
    """Where the file is: XDG_CONFIG_HOME/afterfact/tools.toml, by default ~/.config/afterfact/tools.toml."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "afterfact" / FILE


def load(path: Path) -> tuple[list[Tool], str]:
    """The tools, and "" or one line saying what is wrong with the file: then there are none."""
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
        return [_tool(entry, number) for number, entry in enumerate(stored.get("tool", []), 1)], ""
    except FileNotFoundError:
        return [], ""
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return [], f"{path}: {error}; no outside tools"


def _tool(entry: Mapping[str, Any], number: int) -> Tool:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"tool {number} has no name")
    where, url, command = entry.get("for"), entry.get("url", ""), entry.get("command", [])
    if not isinstance(where, list) or not where or any(one not in (*KINDS, *BY_NAME) for one in where):
        raise ValueError(f"{name}: `for` is a list of columns or of {', '.join(KINDS)}")
    if not isinstance(url, str) or not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise ValueError(f"{name}: `url` is text, `command` a list of texts")
    if bool(url) == bool(command):
        raise ValueError(f"{name}: needs either `url` or `command`")
    if url and (urlsplit(url).scheme not in ("http", "https") or "{" in url.partition("://")[2].partition("/")[0]):
        raise ValueError(f"{name}: the URL begins with http:// or https:// and a host that is no value")
    if command and "{" in command[0]:
        raise ValueError(f"{name}: the program itself cannot be a value")
    for template in (url, *command):
        for _, field, spec, conversion in Formatter().parse(template):
            if field is not None and (field not in ("value", *BY_NAME) or spec or conversion):
                raise ValueError(f"{name}: {{{field}}} is no column; {{value}} is the value under the cursor")
    return Tool(name, tuple(where), url, tuple(command))
