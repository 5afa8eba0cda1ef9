"""A copy of a database as it is at one moment, taken while others write to it."""

import contextlib
import os
import sqlite3
from pathlib import Path

from adapters.records.sqlite.writer import store_error


def snapshot(source: Path, target: Path) -> None:
    """
    Write a copy into a new file, which is on the disk when this returns.

    Raises:
        StoreUnavailable, StoreFull: The one cannot be read, or the other not be written.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=30)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            # All pages in one step: that is one reading transaction, which in WAL mode holds nobody up.
            reading.backup(writing, pages=-1)
    except sqlite3.Error as error:
        raise store_error(error) from error
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
