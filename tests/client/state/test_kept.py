"""What is kept on disk survives restarts and crashes, damaged files are said to be so, and nothing is overwritten."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from afterfact_client.state import history, preferences, session
from afterfact_client.state.columns import DEFAULT
from afterfact_client.state.disk import Keeper, claim, state_place
from afterfact_client.state.history import Asked, History, Walk
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.session import TabState, Trail
from afterfact_client.state.storage import Storage


def fail(text: str) -> None:
    raise AssertionError(text)


def test_what_is_given_is_on_disk_after_flush(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "new" / "place", fail)
    for at in range(50):
        keeper.replace("tabs.json", f"version {at}")
        keeper.append("history.jsonl", f"line {at}")
    assert keeper.flush()
    assert (keeper.place / "tabs.json").read_text() == "version 49"
    assert (keeper.place / "history.jsonl").read_text().splitlines() == [f"line {at}" for at in range(50)]
    assert (keeper.place / "tabs.json").stat().st_mode & 0o777 == 0o600
    assert keeper.place.stat().st_mode & 0o777 == 0o700
    keeper.replace("tabs.json", "last")
    keeper.close()
    assert (keeper.place / "tabs.json").read_text() == "last"
    assert [path.name for path in keeper.place.iterdir() if path.suffix == ".part"] == []


def test_what_cannot_be_saved_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    keeper = Keeper(tmp_path / "file" / "under", told.append)
    keeper.replace("tabs.json", "a")
    assert keeper.flush()
    keeper.replace("tabs.json", "b")
    keeper.close()
    assert len(told) == 1
    assert "cannot save" in told[0] and "tabs.json" in told[0] and "not kept" in told[0]


def test_typing_survives_kill_9(tmp_path: Path) -> None:
    program = """
        import sys, time
        from pathlib import Path
        from afterfact_client.state.session import TabState, to_json
        from afterfact_client.state.storage import Storage
        storage = Storage(Path(sys.argv[1]), print)
        storage.history.add("WHERE port = 1034", "tcp://server.example:7734")
        storage.save_tabs(to_json([TabState("WHERE port = 10")], 0))
        storage.keeper.flush()
        print("typed", flush=True)
        time.sleep(60)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "typed\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    storage = Storage(tmp_path, fail)
    assert [tab.text for tab in storage.tabs] == ["WHERE port = 10"]
    assert [asked.text for asked in storage.history.entries] == ["WHERE port = 1034"]
    assert storage.complaint == ""
    storage.close()


def test_two_consoles_have_tabs_of_their_own_and_one_history(tmp_path: Path) -> None:
    first, second = Storage(tmp_path, fail), Storage(tmp_path, fail)
    first.save_tabs(session.to_json([TabState("first")], 0))
    second.save_tabs(session.to_json([TabState("second")], 0))
    first.history.add("a", "s")
    second.history.add("b", "s")
    first.close()
    second.close()
    again = Storage(tmp_path, fail)
    assert [tab.text for tab in again.tabs] == ["first"]
    assert {asked.text for asked in again.history.entries} == {"a", "b"}
    other = Storage(tmp_path, fail)
    assert [tab.text for tab in other.tabs] == ["second"]
    again.close()
    other.close()


def test_a_claim_ends_with_its_holder(tmp_path: Path) -> None:
    first, second = claim(tmp_path, "tabs"), claim(tmp_path, "tabs")
    assert (first[0], second[0]) == ("tabs.json", "tabs-2.json")
    first[1].close()
    third = claim(tmp_path, "tabs")
    assert third[0] == "tabs.json"
    second[1].close()
    third[1].close()


@pytest.mark.parametrize(
    ("environment", "place"),
    [({"XDG_STATE_HOME": "/x"}, Path("/x/afterfact")), ({"XDG_STATE_HOME": "relative"}, None), ({}, None)],
)
def test_the_place_follows_the_freedesktop_rule(environment: dict[str, str], place: Path | None) -> None:
    assert state_place(environment) == (place or Path.home() / ".local/state/afterfact")


def test_history_is_read_back_with_each_text_once_at_its_latest(tmp_path: Path) -> None:
    lines = [json.dumps({"time": at, "server": "s", "text": text}) for at, text in enumerate(["a", "b", "a"])]
    (tmp_path / history.FILE).write_text("\n".join([*lines, '{"time": 3, "tex']))
    assert [(asked.text, asked.time) for asked in history.load(tmp_path)] == [("b", 1.0), ("a", 2.0)]
    assert history.load(tmp_path / "nowhere") == []


def test_a_long_history_is_cut(tmp_path: Path) -> None:
    count = 2 * history.KEPT + 5
    lines = (json.dumps({"time": at, "server": "s", "text": f"port = {at}"}) for at in range(count))
    (tmp_path / history.FILE).write_text("\n".join(lines))
    assert [asked.text for asked in history.load(tmp_path)][-1] == f"port = {count - 1}"
    assert len((tmp_path / history.FILE).read_text().splitlines()) == history.KEPT


def test_history_takes_each_query_once_and_no_blank() -> None:
    lines: list[str] = []
    kept = History([Asked("old", 1.0, "s")], lines.append)
    for text in ("a", "  ", "a", "b", "a"):
        kept.add(text, "s")
    assert [asked.text for asked in kept.entries] == ["old", "b", "a"]
    assert [json.loads(line)["text"] for line in lines] == ["a", "b", "a"]


def test_walking_keeps_what_was_being_typed() -> None:
    kept = History([Asked("one", 1.0, "s"), Asked("two", 2.0, "s")], lambda line: None)
    walk = Walk(kept)
    assert walk.newer() is None
    assert [walk.older("draft"), walk.older("two"), walk.older("one")] == ["two", "one", None]
    assert [walk.newer(), walk.newer(), walk.newer()] == ["two", "draft", None]
    assert walk.older("two") == "one", "what stands there already is passed over"
    walk.leave()
    assert walk.older("one") == "two"


def test_the_trail_goes_back_and_forth_and_forgets_what_was_ahead() -> None:
    trail = Trail()
    assert trail.current is None and trail.move(-1) is None
    for text in ("a", "b", "b", "c"):
        trail.step(text)
    assert trail.texts == ["a", "b", "c"]
    assert [trail.move(-1), trail.move(-1), trail.move(-1)] == ["b", "a", None]
    assert trail.move(1) == "b"
    trail.step("d")
    assert trail.texts == ["a", "b", "d"] and trail.move(1) is None


def test_tabs_come_back_as_they_were(tmp_path: Path) -> None:
    tabs = [TabState("WHERE port = 1\n", Trail(["a", "b"], 0)), TabState("Köln \U0001f600")]
    (tmp_path / "tabs.json").write_text(session.to_json(tabs, 1))
    assert session.load(tmp_path / "tabs.json") == (tabs, 1, "")


@pytest.mark.parametrize("content", ["{", "[]", '{"tabs": [{"text": 1}]}', '{"tabs": 5, "current": 0}'])
def test_damaged_tabs_are_put_aside_and_said_to_be(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tabs.json"
    path.write_text(content)
    tabs, current, complaint = session.load(path)
    assert (tabs, current) == ([], 0)
    assert "tabs.unreadable" in complaint and "\n" not in complaint
    assert (tmp_path / "tabs.unreadable").read_text() == content


def test_preferences_come_back(tmp_path: Path) -> None:
    mine = Preferences(
        "light", 14, ["src_ip", "duration"], {"src_ip": 200}, sensors_shown=False, details_shown=False,
        details_width=400, timeline_shown=False, tops_shown=True, stacked_by="port", size=(1000, 700), user="ana",
    )  # fmt: skip
    (tmp_path / preferences.FILE).write_text(mine.to_json())
    assert preferences.load(tmp_path) == (mine, "")
    assert preferences.load(tmp_path / "nowhere") == (Preferences(), "")


def test_preferences_of_another_version_are_used_as_far_as_they_go(tmp_path: Path) -> None:
    stored = {"theme": "pink", "text_px": 900, "columns": ["no", "src_ip"], "widths": {"src_ip": 1, "no": 50}, "new": 1,
              "stacked_by": "mood"}  # fmt: skip
    (tmp_path / preferences.FILE).write_text(json.dumps(stored))
    found, complaint = preferences.load(tmp_path)
    assert complaint == ""
    assert (found.theme, found.text_px, found.columns, found.widths) == ("system", 24, ["src_ip"], {})
    assert found.stacked_by == "outcome"


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"widths": {"src_ip": "wide"}}'])
def test_preferences_that_cannot_be_used_are_said_to_be(tmp_path: Path, content: str) -> None:
    (tmp_path / preferences.FILE).write_text(content)
    found, complaint = preferences.load(tmp_path)
    assert found.columns == list(DEFAULT)
    assert str(tmp_path / preferences.FILE) in complaint and "defaults" in complaint


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Storage(tmp_path / "file" / "x", fail)
    assert os.listdir(tmp_path) == ["file"]
