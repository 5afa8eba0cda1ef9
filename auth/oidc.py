"""
Tokens of another server (OpenID Connect): signed by a key that it publishes, made by it, for us, and not over.

Sources: OpenID Connect Core 1.0, 3.1.3.7; RFC 9068, 4; RFC 7517.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import jwt

from domain.clock import Clock
from domain.errors import InvalidValue, StoreUnavailable, TokenExpired, TokenInvalid
from domain.identity import Identity
from domain.user import NAME_LENGTH_MAX, parse_email

Fetch = Callable[[str], Awaitable[bytes]]

# Keys that are published can be used by everyone, so nothing symmetric; and never "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEYS_FRESH_SECONDS = 600.0
REFETCH_SECONDS = 30.0  # a token with a made-up key id must not make us ask the server each time
LEEWAY_SECONDS = 60  # clocks of two servers differ
TOKEN_LENGTH_MAX = 16_384
SUBJECT_LENGTH_MAX = 255  # OpenID Connect Core, 2: "MUST NOT exceed 255 ASCII characters in length"


class OidcProvider:
    """
    Checks tokens of one issuer.

    Args:
        fetch: Gives what is at an address, or raises StoreUnavailable.
    """

    def __init__(self, *, issuer: str, audience: str, fetch: Fetch, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fault: StoreUnavailable | None = None
        self._fetching = asyncio.Lock()

    def knows(self, token: str) -> bool:
        if len(token) > TOKEN_LENGTH_MAX:
            return False
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return False
        return claims.get("iss") == self._issuer

    async def verify(self, token: str) -> Identity:
        claims = await self._claims(token)
        # RFC 9068, 4: "The resource server MUST validate that the 'aud' claim contains a resource indicator value
        # corresponding to an identifier the resource server expects for itself". Cognito's access tokens have none, but
        # name the client that they were made for.
        audiences = claims.get("aud", claims.get("client_id"))
        if self._audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise TokenInvalid("the token was made for somebody else")
        now = self._clock.now()
        begins, ends = _moment(claims.get("nbf", 0)), _moment(claims["exp"])
        if now >= ends:
            raise TokenExpired("the token has expired")
        if begins.timestamp() > now.timestamp() + LEEWAY_SECONDS:
            raise TokenInvalid("the token is not good yet")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
            raise TokenInvalid("the token names nobody")
        return Identity(f"{self._issuer} {subject}", _email(claims), _name(claims), ends)

    async def _claims(self, token: str) -> dict[str, Any]:
        invalid = TokenInvalid("the token is not valid")
        try:
            head = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise invalid from error
        key = await self._key(head.get("kid"))
        algorithm = head.get("alg")
        if key is None or algorithm not in ALGORITHMS or key.algorithm_name != algorithm:
            raise invalid
        # Times and audience are compared by the caller, on the clock that everything else is compared on.
        options: Any = {
            "require": ["exp", "iss"],
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
        }
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm], issuer=self._issuer, options=options
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise invalid from error
        return claims

    # ---- keys

    async def _key(self, key_id: object) -> jwt.PyJWK | None:
        name = key_id if isinstance(key_id, str) else ""
        async with self._fetching:
            now = self._clock.monotonic()
            is_fresh = self._fetched_at is not None and now - self._fetched_at < KEYS_FRESH_SECONDS
            may_ask = self._tried_at is None or now - self._tried_at >= REFETCH_SECONDS
            if may_ask and not (is_fresh and name in self._keys):
                self._tried_at = now
                try:
                    self._keys, self._fetched_at, self._fault = await self._fetch_keys(), now, None
                except StoreUnavailable as fault:
                    # What was published a while ago is the best that is known, until the server answers again.
                    self._fault = fault
        if name not in self._keys and self._fault is not None:
            raise StoreUnavailable("identity provider") from self._fault
        return self._keys.get(name)

    async def _fetch_keys(self) -> dict[str, jwt.PyJWK]:
        discovery = _document(await self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        # OpenID Connect Discovery 1.0, 4.3: "The issuer value returned MUST be identical to the Issuer URL".
        if discovery.get("issuer") != self._issuer or not isinstance(discovery.get("jwks_uri"), str):
            raise StoreUnavailable("identity provider")
        found = _document(await self._fetch(discovery["jwks_uri"])).get("keys")
        keys = {}
        for one in found if isinstance(found, list) else []:
            if isinstance(one, dict) and one.get("use", "sig") == "sig":
                try:
                    keys[str(one.get("kid", ""))] = jwt.PyJWK(one)
                except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                    continue  # a kind of key that we cannot read is none of ours to complain about
        return keys


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreUnavailable("identity provider") from error
    if not isinstance(document, dict):
        raise StoreUnavailable("identity provider")
    return document


def _moment(seconds: object) -> datetime:
    try:
        return datetime.fromtimestamp(float(seconds), UTC)  # type: ignore[arg-type]  # whatever stands there
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise TokenInvalid("the token is not valid") from error


def _email(claims: dict[str, Any]) -> str | None:
    # Some servers write the truth value as text.
    if claims.get("email_verified") not in (True, "true") or not isinstance(claims.get("email"), str):
        return None
    try:
        return parse_email(claims["email"])
    except InvalidValue:
        return None


def _name(claims: dict[str, Any]) -> str | None:
    name = claims.get("name")
    text = name.strip()[:NAME_LENGTH_MAX] if isinstance(name, str) else ""
    return text if text and text.isprintable() else None
