"""Saved queries over several consoles, and what the palette offers first."""

from pathlib import Path

from afterfact_client.state import saved
from afterfact_client.state.palette import Command, ranked
from afterfact_client.state.saved import FILE, SavedQueries, SavedQuery


def test_the_last_word_on_a_name_counts_and_damage_costs_only_itself(tmp_path: Path) -> None:
    lines: list[str] = []
    queries = SavedQueries({}, lines.append)
    worm = SavedQuery("worm", "port = 1034", "case 7", "the sweep")
    queries.save(worm)
    queries.save(SavedQuery("other", "port = 1"))
    queries.save(SavedQuery("worm", "port = 1035", "case 7"))
    queries.save(SavedQuery("moved", "port = 1", "case 8"), instead_of=SavedQuery("other", "port = 1"))
    queries.save(SavedQuery("gone", "x"))
    queries.remove(SavedQuery("gone", "x"))
    (tmp_path / FILE).write_text("\n".join([*lines, '{"name": "half', '{"name": 1}', "[]"]))
    assert list(saved.load(tmp_path).values()) == queries.all()
    assert [(query.path, query.text) for query in queries.all()] == [
        ("case 7 / worm", "port = 1035"), ("case 8 / moved", "port = 1")
    ]  # fmt: skip
    assert queries.folders() == ["case 7", "case 8"]
    assert saved.load(tmp_path / "nowhere") == {}


def test_the_palette_ranks_beginnings_first() -> None:
    titles = ["View: Timeline", "File: New tab", "tab stops", "Query: Stop", "instable"]
    commands = [Command("action", title, "Ctrl+G" if "Time" in title else "", lambda: None) for title in titles]
    assert [command.title for command in ranked(commands, "tab")] == ["tab stops", "File: New tab", "instable"]
    assert [command.title for command in ranked(commands, "sto  tab")] == ["tab stops"]
    assert [command.title for command in ranked(commands, "ctrl+g")] == ["View: Timeline"], "by its key too"
    assert len(ranked(commands, "")) == 5 and ranked(commands, "zebra") == []
