"""Tickets: single-use secrets that are sent by mail and prove who reads the mailbox."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain.ids import SYSTEM, UserId
from domain.records import Kind


class Purpose(Enum):
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 (a name, no password)


@dataclass(frozen=True, slots=True)
class Ticket:
    """
    Attributes:
        id: SHA-256 of the secret, hex: who reads the database cannot use it.
        binding: SHA-256 of the password hash that the user had: a ticket dies when the password changes.
        used_at: When it was redeemed; it is good once.
    """

    id: str
    purpose: Purpose
    user_id: UserId
    email: str
    binding: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    tenant_id: str = SYSTEM
    revision: int = 0


TICKETS = Kind("tickets", Ticket, fields=("expires_at",), indexes=(("expires_at",),))
