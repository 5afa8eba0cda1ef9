"""Users whom another server knows: found by what it calls them, by a confirmed e-mail address, or made."""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import replace

from auth.passwords import PasswordHasher
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import Conflict, TokenInvalid
from domain.identity import Identity
from domain.ids import SYSTEM, UserId, new_user_id
from domain.records import Add, Records, Save
from domain.tenant import Limits
from domain.user import USERS, User
from services.audit import AuditLog
from services.founding import confirmed, found_tenant

TRIES_MAX = 4  # requests of a person who comes for the first time, each of which makes them


class Identities:
    """
    Args:
        may_make: Make a user of whoever that server knows; else only those come in who have an account.
    """

    def __init__(
        self,
        *,
        records: Records,
        passwords: PasswordHasher,
        audit: AuditLog,
        clock: Clock,
        may_make: bool,
        limits: Limits,
    ) -> None:
        self._records = records
        self._users = records.collection(USERS)
        self._passwords = passwords
        self._audit = audit
        self._clock = clock
        self._may_make = may_make
        self._limits = limits

    async def user_of(self, identity: Identity) -> User:
        """
        Give the user.

        Raises:
            TokenInvalid: There is none and none may be made, or the account is somebody else's or switched off.
        """
        for _ in range(TRIES_MAX):
            user = await self._users.find(SYSTEM, identity=identity.key)
            if user is None:
                with suppress(Conflict):
                    user = await self._bind(identity)
            if user is not None:
                if not user.is_active:
                    raise TokenInvalid("the account is switched off")
                return user
        raise Conflict("this account is being changed by others")

    async def _bind(self, identity: Identity) -> User:
        known = await self._users.find(SYSTEM, email=identity.email) if identity.email is not None else None
        if known is None:
            return await self._make(identity)
        if known.identity is not None:
            raise TokenInvalid("the account of this e-mail address belongs to somebody else")
        bound = replace(known, identity=identity.key)
        if known.email_verified_at is None:
            # Whoever signed up with the address never showed that it was theirs: their password must not stay.
            bound = replace(bound, password_hash=await self._no_password())
        bound, founding = await confirmed(self._records, bound, now=self._clock.now(), limits=self._limits)
        entry = self._audit.entry(AuditAction.IDENTITY_BOUND, UserId(known.id), detail=identity.key[:200])
        await self._records.write(Save(USERS, bound, known.revision), *founding, entry)
        return replace(bound, revision=known.revision + 1)

    async def _make(self, identity: Identity) -> User:
        if not self._may_make:
            raise TokenInvalid("there is no account for this person")
        now = self._clock.now()
        name = identity.email or f"oidc-{hashlib.sha256(identity.key.encode()).hexdigest()[:24]}"
        user = User(
            id=new_user_id(now),
            username=name,
            email=identity.email,
            password_hash=await self._no_password(),
            created_at=now,
            name=identity.name,
            email_verified_at=now if identity.email is not None else None,
            identity=identity.key,
        )
        tenant_name = identity.name or name.partition("@")[0]
        _, founding = await found_tenant(
            self._records, owner_id=UserId(user.id), name=tenant_name, now=now, limits=self._limits
        )
        entry = self._audit.entry(AuditAction.SIGNED_UP, UserId(user.id), detail=identity.key[:200])
        await self._records.write(Add(USERS, user), *founding, entry)
        return replace(user, revision=1)

    async def _no_password(self) -> str:
        """A hash of what nobody will ever know."""
        return await self._passwords.hash(secrets.token_urlsafe(32))
