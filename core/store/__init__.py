"""Runs that are kept: one SQLite file, and the file in which a run travels."""
