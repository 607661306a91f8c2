"""The central server: admits sensors and consoles, keeps their sessions, answers queries."""
