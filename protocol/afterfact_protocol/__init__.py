"""What two Afterfact processes must agree on: record, messages, trust, language. Starts no thread."""
