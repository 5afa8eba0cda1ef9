"""Letters to people, and the port that carries them."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """Plain text to one address. It may hold a link that is worth a password, so no text of it is ever logged."""

    to: str
    subject: str
    text: str = field(repr=False)


class MailUndelivered(Exception):
    """
    The letter was not taken.

    Attributes:
        is_final: Another try would end the same.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Mail(Protocol):
    async def send(self, letter: Letter) -> None:
        """Hand over a letter; raises MailUndelivered."""
        ...
