"""An engine for SQL past one machine: it reads tables over objects of a store by itself."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

Row = list[str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class WarehouseCounts:
    """How far a statement is: bytes and rows that it has read."""

    bytes_scanned: int
    rows_scanned: int


class WarehouseFault(Exception):
    """The engine found fault with a statement, or with the table that it read; `name` is its own word for it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Warehouse(Protocol):
    """Runs statements."""

    def run(self, sql: str) -> AsyncGenerator[list[Row] | WarehouseCounts, None]:
        """
        Yield rows as they come and counts between them; whoever stops early closes it, which cancels the statement.

        Raises (from the iteration):
            WarehouseFault: The statement failed.
            StoreUnavailable: Nobody answers, or what answers is no such engine.
        """
        ...
