"""
What the writes of one transaction change again and again, kept out of SQL until its end: counters, and numbers.

It is true only between BEGIN and COMMIT, while nobody else can change what was read.
"""

from collections.abc import Callable, Hashable
from typing import Any


class Draft:
    """
    Values by key, each with the way to write it down.

    Attributes:
        edits: Counts every change, as `sqlite3.Connection.total_changes` does what went to the database.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}
        self._unwritten: dict[Hashable, Callable[[Any], None]] = {}
        self.edits = 0

    def find(self, key: Hashable) -> Any:
        """Give the value as it stands in this transaction; None where nobody has looked at it yet."""
        return self._values.get(key)

    def put(self, key: Hashable, value: object, write: Callable[[Any], None]) -> None:
        """Change a value; `write` is called with the last of them."""
        self._values[key] = value
        self._unwritten[key] = write
        self.edits += 1

    def note(self, key: Hashable, value: object) -> None:
        """Keep what the database has."""
        self._values[key] = value

    def flush(self) -> None:
        """Write down what is not yet; raises sqlite3.Error."""
        while self._unwritten:
            key, write = self._unwritten.popitem()
            write(self._values[key])

    def settle(self, key: Hashable) -> None:
        """Write down and forget what somebody is about to change in the database itself."""
        write = self._unwritten.pop(key, None)
        if write is not None:
            write(self._values[key])
        self._values.pop(key, None)

    def forget(self) -> None:
        """The transaction is over, or undone."""
        self._values.clear()
        self._unwritten.clear()
