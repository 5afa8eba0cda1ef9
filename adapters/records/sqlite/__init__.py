"""Records in one SQLite file: the default, with no server to run."""

from adapters.records.sqlite.records import SqliteRecords

__all__ = ["SqliteRecords"]
