"""The use cases of API keys: make, list, revoke; and find the key behind a token or a signature."""

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from auth.policy import Action, require
from auth.sealing import Sealer
from domain.apikey import API_KEYS, ApiKey, new_secret, parse_access_key_id, parse_token, token_of
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import InvalidValue, LighterageError, NotFound, PermissionDenied, TokenExpired, TokenInvalid
from domain.ids import SYSTEM, ApiKeyId, new_api_key_id
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, equals
from domain.principal import Principal, Scope
from domain.records import Add, Delete, Records
from domain.user import parse_name
from services.audit import AuditLog

KEYS_MAX = PAGE_SIZE_MAX  # of one user; more are not keys that anybody has an eye on
USE_NOTED_EVERY = timedelta(minutes=1)  # a write for each request would cost more than the request


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """What is shown once: the token for `Authorization: Bearer`, and the pair for clients of S3."""

    key: ApiKey
    token: str
    secret: str


class ApiKeyService:
    def __init__(self, *, records: Records, sealer: Sealer, audit: AuditLog, clock: Clock) -> None:
        self._records = records
        self._keys = records.collection(API_KEYS)
        self._sealer = sealer
        self._audit = audit
        self._clock = clock

    async def create(
        self, principal: Principal, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None, client: str
    ) -> IssuedKey:
        """
        Make a key for the caller, in the tenant that they are in.

        Raises:
            InvalidValue: The name, the scopes or the end is not taken, or there are too many keys.
            PermissionDenied: A key would do more than its maker's token, or was itself to make a key.
        """
        tenant_id = require(principal, Action.MANAGE_KEYS)
        assert principal.user_id is not None
        now = self._clock.now()
        name = parse_name(name, field="name")
        if not scopes:
            raise InvalidValue("a key needs at least one scope", path=("scopes",), reason="required")
        if not principal.scopes.issuperset(scopes):
            raise PermissionDenied("a key cannot have a scope that your own token has not")
        if expires_at is not None and expires_at <= now:
            raise InvalidValue("this moment is over", path=("expires_at",), reason="out_of_range")
        if await self._keys.count(SYSTEM, [equals("user_id", principal.user_id)]) >= KEYS_MAX:
            raise InvalidValue(f"a user has at most {KEYS_MAX} keys; revoke one first", reason="too_long")
        key_id, secret = new_api_key_id(now), new_secret()
        key = ApiKey(
            id=key_id,
            user_id=principal.user_id,
            in_tenant=tenant_id,
            name=name,
            scopes=tuple(scope for scope in Scope if scope in scopes),
            secret_hash=_hash(secret),
            sealed_secret=self._sealer.seal(secret, name=key_id),
            created_at=now,
            expires_at=expires_at,
            revision=1,
        )
        entry = self._audit.entry(
            AuditAction.API_KEY_CREATED, principal.user_id, tenant_id=tenant_id, subject_id=key_id, client=client
        )
        await self._records.write(Add(API_KEYS, key), entry)
        return IssuedKey(key, token_of(key, secret), secret)

    async def list_own(self, principal: Principal) -> list[ApiKey]:
        """Give the caller's keys in all their tenants, newest first."""
        require(principal, Action.READ_TENANT)
        order = Order("created_at", descending=True)
        page = await self._keys.list(
            SYSTEM, [equals("user_id", principal.user_id)], order=order, page=PageRequest(KEYS_MAX)
        )
        return page.items

    async def get(self, principal: Principal, key_id: ApiKeyId) -> ApiKey:
        """Give one of the caller's keys; somebody else's is NotFound."""
        require(principal, Action.READ_TENANT)
        key = await self._keys.get(SYSTEM, key_id)
        if key.user_id != principal.user_id:
            raise NotFound("api key")
        return key

    async def revoke(self, principal: Principal, key_id: ApiKeyId, *, client: str) -> ApiKey:
        """End a key of the caller's; it is gone from the list, and stays in the audit log."""
        require(principal, Action.MANAGE_KEYS)
        key = await self.get(principal, key_id)
        entry = self._audit.entry(
            AuditAction.API_KEY_REVOKED, key.user_id, tenant_id=key.in_tenant, subject_id=key.id, client=client
        )
        await self._records.write(Delete(API_KEYS, SYSTEM, key.id), entry)
        return key

    # ---- whose key is it

    async def find_by_token(self, token: str) -> ApiKey:
        """
        Give the key that a program sent, and note that it was used.

        Raises:
            TokenInvalid, TokenExpired: It is none, was revoked, or its time is over.
        """
        parsed = parse_token(token)
        if parsed is None:
            raise TokenInvalid("the API key is not valid")
        key_id, secret = parsed
        key = await self._live(key_id)
        if not hmac.compare_digest(key.secret_hash, _hash(secret)):
            raise TokenInvalid("the API key is not valid")
        return await self._used(key)

    async def find_by_access_key_id(self, access_key_id: str) -> tuple[ApiKey, str]:
        """
        Give the key that signed a request, and the secret to check the signature with.

        The caller has shown nothing yet: whoever asks must check the signature before doing anything for them.

        Raises:
            TokenInvalid, TokenExpired: It is none, was revoked, or its time is over.
        """
        key_id = parse_access_key_id(access_key_id)
        if key_id is None:
            raise TokenInvalid("the API key is not valid")
        key = await self._live(key_id)
        return await self._used(key), self._sealer.open(key.sealed_secret, name=key.id)

    async def _live(self, key_id: ApiKeyId) -> ApiKey:
        try:
            key = await self._keys.get(SYSTEM, key_id)
        except NotFound as error:
            raise TokenInvalid("the API key is not valid") from error
        if key.expires_at is not None and self._clock.now() >= key.expires_at:
            raise TokenExpired("the API key has expired")
        return key

    async def _used(self, key: ApiKey) -> ApiKey:
        now = self._clock.now()
        if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
            # A hint for people: that it cannot be noted, or another noted it, must keep nobody out.
            with suppress(LighterageError):
                await self._keys.save(replace(key, last_used_at=now), expected_revision=key.revision)
        return key


def _hash(secret: str) -> str:
    # The secret has 240 random bits: a plain hash is enough, and costs a request nothing.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
