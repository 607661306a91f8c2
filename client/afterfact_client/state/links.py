"""`afterfact://` links for tickets: a query and the server that it asks. Opening one puts the query into a tab; it runs
only once the analyst says so, since anybody may have written the link."""

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from afterfact_protocol.query.lexer import MAX_BYTES

SCHEME = "afterfact"


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link holds."""

    server: str
    """`host:port`."""
    query: str


def to_link(address: str, query: str) -> str:
    """A link to a query at the server `address` (`tcp://host:port`)."""
    return f"{SCHEME}://{address.removeprefix('tcp://')}/query?q={quote(query, safe='')}"


def from_link(text: str) -> Linked:
    """ValueError, one line, for what is no link of ours."""
    try:
        parts = urlsplit(text.strip())
        found = parse_qs(parts.query, strict_parsing=True, errors="strict").get("q", [])
    except ValueError as error:
        raise ValueError(f"not a link to a query: {error}") from None
    if parts.scheme != SCHEME or parts.path.strip("/") != "query" or len(found) != 1:
        raise ValueError(f"not a link to a query: it should read {SCHEME}://SERVER/query?q=...")
    if len(found[0].encode()) > MAX_BYTES:
        raise ValueError("the query in this link is longer than queries may be")
    return Linked(parts.netloc, found[0])


def is_link(text: str) -> bool:
    """Whether a text that is pasted is a link and nothing else."""
    return text.strip().startswith(f"{SCHEME}://") and not any(sign.isspace() for sign in text.strip())
