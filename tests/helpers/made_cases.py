"""A case as a server tells it, in every state that a step and an item can have."""

from dataclasses import replace

from afterfact_protocol.messages import CaseInfo, CaseItem, CaseStep, CaseTold, StepRun

WHEN = 1_090_863_469_000_000
HOUR = 3_600_000_000


def step(number: int, text: str, why: str, rows: int, **changes: object) -> CaseStep:
    """A step that two sensors watched throughout."""
    made = CaseStep(
        number, text, f"{text} AND start_time <= '2004-07-27 06:31:40' EXCLUDING NONE", why, "ana",
        WHEN + number * HOUR, 1, not rows, "", "reading", WHEN - 90 * 24 * HOUR, WHEN, rows, False, rows and rows - 1,
        2 if rows else 0, min(rows, 10_000), "border: watched throughout; dmz: watched throughout", True, (), (), "",
        None,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def case(number: int = 3, **changes: object) -> CaseTold:
    """The worm's, with a negative that no longer holds."""
    info = CaseInfo(number, "the worm on 1034", "ana", "open", "", "ana", WHEN, 2, "bob", WHEN + 9 * HOUR, 3, 1, 1, "")
    again = StepRun(WHEN + 9 * HOUR, "", 3, False, 2, 1, 3, 0, 0, "dmz: all of it delivered late", True, "")
    steps = (
        step(1, "WHERE port = 1034", "who talked on it, web left out", 54, saved="@talkers, version 1: 5 addresses",
             exclusions=("web: port IN (80, 443) (business)",)),
        step(2, "WHERE dst_port = 1034 AND inbound", "did anyone come in?", 0, state="reopened", complete=False,
             coverage="border: watched throughout; dmz: blind 2004-07-26 17:50:00 to 18:30:00", run=again),
        step(3, "WHERE src_ip IN @talkers", "do they call home?", 12_345, sets=("@talkers, version 1: 5 addresses",)),
    )  # fmt: skip
    items = (
        CaseItem(1, "hypothesis", "nobody used the backdoor", "ruled out", "high", (2,), "", 1, "ana", WHEN, "ana",
                 WHEN + 2 * HOUR),
        CaseItem(2, "hypothesis", "it came with a laptop", "likely", "medium", (1, 3), "", 1, "bob", WHEN, "bob", WHEN),
        CaseItem(3, "question", "who owns 10.1.2.3?", "open", "low", (), "", 1, "ana", WHEN, "ana", WHEN),
        CaseItem(5, "note", "# First look\n\n- from **1.2.3.4**\n- <b>[click](settle:2)</b>", "open", "low", (), "", 1,
                 "ana", WHEN, "ana", WHEN),
    )  # fmt: skip
    return CaseTold(0, replace(info, **changes), steps, items)  # type: ignore[arg-type]
