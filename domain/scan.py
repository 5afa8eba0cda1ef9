"""The port of a virus scanner."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Finding(Enum):
    """TOO_LARGE: the scanner looks into nothing of that size, so nothing can be said of it; that is no "clean"."""

    CLEAN = "clean"
    INFECTED = "infected"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Verdict:
    finding: Finding
    signature: str | None = None


class Scanner(Protocol):
    async def scan(self, chunks: AsyncGenerator[bytes, None], *, size: int) -> Verdict:
        """
        Look through the bytes; the caller closes `chunks`.

        Raises:
            ScannerUnavailable: It does not answer, or not as a scanner does.
        """
        ...
