"""docs/query.md says what the code does, and every example in it and in the registries is a query."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from afterfact_protocol.query import parse, reading
from afterfact_protocol.query.functions import DERIVED, EITHER, FUNCTIONS, NETWORK_FIELDS, PREDICATES, TIME_WORDS
from afterfact_protocol.query.measures import MEASURES, PERIODIC, WORDS
from afterfact_protocol.query.operators import OPERATORS
from afterfact_protocol.query.reference import refreshed
from afterfact_protocol.session import FIELDS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "query.md").read_text(encoding="utf-8")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
EXAMPLES = re.findall(r"```query\n(.*?)```(?:\n\n> ([^\n]*))?", DOCUMENT, re.DOTALL)


def test_document_is_up_to_date() -> None:
    assert refreshed(DOCUMENT) == DOCUMENT, "run .venv/bin/python scripts/query_reference.py"


def test_every_name_is_documented() -> None:
    names = [
        *(field.name for field in FIELDS),
        *(alias for field in FIELDS for alias in field.aliases),
        *EITHER,
        *DERIVED,
        *NETWORK_FIELDS,
        "other_ip",
    ]
    for name in [*names, *PREDICATES, *FUNCTIONS, *OPERATORS, *TIME_WORDS, *MEASURES, *PERIODIC, *WORDS]:
        assert f"`{name.replace('|', '&#124;')}`" in DOCUMENT, name


def test_a_section_too_few_or_unknown_is_an_error() -> None:
    with pytest.raises(ValueError, match="sections are"):
        refreshed(DOCUMENT.replace("begin fields", "begin flowers").replace("end fields", "end flowers"))
    with pytest.raises(ValueError, match="sections are"):
        refreshed("")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6
    assert sum(bool(english) for _, english in EXAMPLES) >= 4


@pytest.mark.parametrize(("text", "english"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_document(text: str, english: str) -> None:
    query = parse(text, NOW)
    assert not english or reading(query) == english


@pytest.mark.parametrize(
    "example",
    [
        entry.example
        for registry in (OPERATORS, EITHER, DERIVED, NETWORK_FIELDS, FUNCTIONS, MEASURES, WORDS)
        for entry in registry.values()
    ],
)
def test_examples_of_the_registries(example: str) -> None:
    parse(example, NOW)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{name} IS NULL" for field in FIELDS for name in (field.name, *field.aliases)),
        *(
            f"sessions.{name} IS NOT NULL"
            for name in (*sorted(set(DERIVED) - {"community_id"}), *sorted(set(EITHER) - {"endpoint"}))
        ),
        *PREDICATES,
        *(f"start_time > {word}" for word in TIME_WORDS),
    ],
)
def test_every_documented_name_works(text: str) -> None:
    parse(text, NOW)
