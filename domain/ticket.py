"""Tickets: single-use secrets that are sent by mail and prove who reads the mailbox."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain.ids import SYSTEM, TenantId, UserId
from domain.records import Kind
from domain.tenant import TenantRole


class Purpose(Enum):
    VERIFY_EMAIL = "verify_email"
    INVITE = "invite"
    RESET_PASSWORD = "reset_password"  # noqa: S105 (a name, no password)


@dataclass(frozen=True, slots=True)
class Ticket:
    """
    Attributes:
        id: SHA-256 of the secret, hex: who reads the database cannot use it.
        user_id: None for an invitation, whose reader may have no account yet.
        binding: SHA-256 of the password hash that the user had: a ticket dies when the password changes.
        invited_to: The tenant that an invitation is for, and `role` what its reader will be there.
        used_at: When it was redeemed; it is good once.
    """

    id: str
    purpose: Purpose
    email: str
    created_at: datetime
    expires_at: datetime
    user_id: UserId | None = None
    binding: str | None = None
    invited_to: TenantId | None = None
    role: TenantRole | None = None
    used_at: datetime | None = None
    tenant_id: str = SYSTEM
    revision: int = 0


TICKETS = Kind("tickets", Ticket, fields=("expires_at",), indexes=(("expires_at",),))
