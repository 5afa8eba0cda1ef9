"""Tickets on their way out and back in: made with a secret that only a letter holds, and redeemed once."""

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta

from domain.clock import Clock
from domain.errors import Conflict, NotFound, TokenExpired, TokenInvalid
from domain.ids import SYSTEM, TenantId, UserId
from domain.records import Records, Save, Write
from domain.tenant import TenantRole
from domain.ticket import TICKETS, Purpose, Ticket
from domain.user import USERS, User

SECRET_BYTES = 32


class Tickets:
    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._tickets = records.collection(TICKETS)
        self._users = records.collection(USERS)
        self._clock = clock

    async def issue(self, user: User, purpose: Purpose, lifetime: timedelta) -> str:
        """Make a ticket for a user; gives the secret."""
        assert user.email is not None
        return await self._add(purpose, user.email, lifetime, user_id=UserId(user.id), binding=_binding(user))

    async def invite(self, email: str, tenant_id: TenantId, role: TenantRole, lifetime: timedelta) -> str:
        """Make a ticket into a tenant, for whoever reads the mailbox."""
        return await self._add(Purpose.INVITE, email, lifetime, invited_to=tenant_id, role=role)

    async def _add(
        self,
        purpose: Purpose,
        email: str,
        lifetime: timedelta,
        *,
        user_id: UserId | None = None,
        binding: str | None = None,
        invited_to: TenantId | None = None,
        role: TenantRole | None = None,
    ) -> str:
        secret, now = secrets.token_urlsafe(SECRET_BYTES), self._clock.now()
        await self._tickets.add(
            Ticket(_sha256(secret), purpose, email, now, now + lifetime, user_id, binding, invited_to, role)
        )
        return secret

    async def find(self, secret: str, purpose: Purpose) -> Ticket:
        """
        Give the ticket that a letter brought.

        Raises:
            TokenInvalid, TokenExpired: It was used before, is too old, or is none.
        """
        invalid = TokenInvalid("this link was used before, or is not valid")
        try:
            ticket = await self._tickets.get(SYSTEM, _sha256(secret))
        except NotFound as error:
            raise invalid from error
        if ticket.purpose is not purpose or ticket.used_at is not None:
            raise invalid
        if self._clock.now() >= ticket.expires_at:
            raise TokenExpired("this link is too old; ask for another")
        return ticket

    async def find_with_user(self, secret: str, purpose: Purpose) -> tuple[Ticket, User]:
        """Give also whose it is; raises as `find` does, and where the password or the address changed since."""
        ticket = await self.find(secret, purpose)
        invalid = TokenInvalid("this link was used before, or is not valid")
        assert ticket.user_id is not None
        try:
            user = await self._users.get(SYSTEM, ticket.user_id)
        except NotFound as error:
            raise invalid from error
        if not user.is_active or ticket.binding != _binding(user) or ticket.email != user.email:
            raise invalid
        return ticket, user

    async def redeem(self, ticket: Ticket, *writes: Write) -> None:
        """Do what the ticket is for, once: of two who come at the same time, one is refused."""
        used = replace(ticket, used_at=self._clock.now())
        try:
            await self._records.write(Save(TICKETS, used, ticket.revision), *writes)
        except Conflict as error:
            raise TokenInvalid("this link is being used by another request") from error


def _binding(user: User) -> str:
    return _sha256(user.password_hash)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
