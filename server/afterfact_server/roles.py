"""Roles of accounts and scopes of tokens; permissions.py says what each may do."""

ROLES = ("viewer", "analyst", "lead", "admin")
"""Each may do what those before it may."""

SCOPES: dict[str, str] = {
    "query": "ask queries and pull their sessions",
    "events": "list alerts",
    "sets": "save and delete sets, make and remove exclusions",
    "queue": "see the queue, its events and their history, and the watches",
    "triage": "dispose of rows of the queue, and make rules that do",
    "watch": "make, pause and remove watches",
    "cases": "see cases with their evidence",
    "casework": "make and change cases, ask their queries",
    "audit": "read the audit",
    "status": "the state of sensors and store",
}
"""What a token can be for."""
