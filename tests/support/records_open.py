"""Opens the records of either database from plain values."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.records.mongo import MongoRecords
from adapters.records.sqlite import SqliteRecords
from domain.records import Kind, Records


@dataclass(frozen=True, slots=True)
class Database:
    """`where` is a file or a server; `name` the database on it."""

    adapter: str
    where: str
    name: str = ""


@asynccontextmanager
async def open_records(database: Database, kinds: Sequence[Kind[Any]]) -> AsyncIterator[Records]:
    if database.adapter == "sqlite":
        async with SqliteRecords.open(Path(database.where), kinds) as records:
            yield records
    else:
        async with MongoRecords.open(database.where, kinds, database_name=database.name) as records:
            yield records
