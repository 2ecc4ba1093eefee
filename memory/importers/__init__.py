"""Readers of foreign histories: one file a format, each a generator of records."""
