"""The connection in words: for the status line, and above the tabs where something is wrong."""

from afterfact_client.link import LinkPhase, LinkState


def connection_words(state: LinkState, good: str, user: str, role: str) -> tuple[str, str, str]:
    """The style's name, the status line's words, and what is to be said above the tabs (mostly nothing). `good` is how
    long ago the server last answered, empty if it never did."""
    match state.phase:
        case LinkPhase.ONLINE:
            return "good", f"● {user} ({role}{', sees a part' if state.limits else ''})", ""
        case LinkPhase.LOST | LinkPhase.CONNECTING:
            if not good:
                return "error", "○ connecting", ""
            trouble = f"Connection lost, last good {good} ago. Trying again: {state.reason}."
            return "error", f"✕ connection lost, last good {good} ago", trouble
        case LinkPhase.REFUSED:
            trouble = f"The server does not let this console in any more: {state.reason}. Your tabs are kept."
            return "error", "✕ refused", trouble
        case _:
            return "dim", "○ not logged in", ""
