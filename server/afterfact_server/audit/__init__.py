"""Who did what, and when: an append-only record whose lines are chained by hashes."""
