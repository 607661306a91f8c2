"""Checked queries to the store's SQL."""
