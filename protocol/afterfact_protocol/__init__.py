"""What two Afterfact processes must agree on: record, messages, trust, language. No threads, no files."""
