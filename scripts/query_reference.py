"""Makes the reference sections of docs/query.md anew from the fields and the registries.

Run it as `.venv/bin/python scripts/query_reference.py` after changing either.
"""

from pathlib import Path

from afterfact_protocol.query.reference import refreshed

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "query.md"


def main() -> None:
    DOCUMENT.write_text(refreshed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
