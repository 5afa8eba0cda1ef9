"""
HTTP Basic: name and password with every request, for tools that know nothing else.

A hash takes the time of hundreds of requests, so a right pair is remembered for a while, by a keyed digest, as long as
the user is active and has that password. What is not remembered is checked, and limited, as a log-in is.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import TypeVar

from domain.clock import Clock
from domain.errors import NotFound
from domain.ids import SYSTEM
from domain.principal import Principal
from domain.records import Records
from domain.user import USERS, User
from services.accounts import AccountService

T = TypeVar("T")

REMEMBERED_SECONDS = 300.0
RECHECK_SECONDS = 1.0
REMEMBERED_MAX = 1000  # pairs


class BasicLogIns:
    def __init__(self, *, accounts: AccountService, records: Records, clock: Clock) -> None:
        self._accounts = accounts
        self._users = records.collection(USERS)
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[User, float]] = OrderedDict()
        self._principals: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def authenticate(self, identifier: str, password: str, *, client: str) -> Principal:
        """
        Tell who asks.

        Raises:
            InvalidCredentials, EmailNotVerified, RateLimited: As a log-in does.
        """
        pair = f"{len(identifier)} {identifier} {password}".encode(errors="surrogatepass")
        digest = hmac.digest(self._secret, pair, hashlib.sha256)
        now = self._clock.monotonic()
        recent = self._principals.get(digest)
        if recent is not None and now - recent[1] < RECHECK_SECONDS:
            return recent[0]
        user = await self._remembered(digest)
        if user is None:
            user = await self._accounts.check_credentials(identifier, password, client=client)
            _keep(self._known, digest, (user, now))
        principal = await self._accounts.principal_of(user)
        _keep(self._principals, digest, (principal, now))
        return principal

    async def _remembered(self, digest: bytes) -> User | None:
        known = self._known.get(digest)
        if known is None or self._clock.monotonic() - known[1] >= REMEMBERED_SECONDS:
            return None
        try:
            user = await self._users.get(SYSTEM, known[0].id)
        except NotFound:
            return None
        return user if user.is_active and user.password_hash == known[0].password_hash else None


def _keep(kept: OrderedDict[bytes, T], key: bytes, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
