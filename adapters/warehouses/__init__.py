"""Engines for SQL past one machine."""
