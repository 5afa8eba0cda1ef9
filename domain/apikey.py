"""API keys: what programs log in with, made by a user and narrower than they are."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from domain.ids import SYSTEM, ApiKeyId, TenantId, UserId, is_id
from domain.principal import Scope
from domain.records import Kind

_ID_PREFIX = "apikey_"
_TOKEN_PREFIX = "lk_"  # noqa: S105 (how secret scanners know one)
_ACCESS_KEY_PREFIX = "LK"
SECRET_BYTES = 30  # 40 characters, as the secrets that S3's tools know


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    Attributes:
        secret_hash: SHA-256 of the secret, hex.
        sealed_secret: The secret, encrypted: whoever checks a signature (SigV4) needs it as it is.
        in_tenant: The only tenant that it is good in.
    """

    id: str
    user_id: UserId
    in_tenant: TenantId
    name: str
    scopes: tuple[Scope, ...]
    secret_hash: str
    sealed_secret: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    tenant_id: str = SYSTEM
    revision: int = 0

    @property
    def prefix(self) -> str:
        """How its token begins: enough to recognise it, worth nothing."""
        return _TOKEN_PREFIX + self.id.removeprefix(_ID_PREFIX)

    @property
    def access_key_id(self) -> str:
        """Its name where requests are signed: letters and digits, as AWS has them."""
        return _ACCESS_KEY_PREFIX + self.id.removeprefix(_ID_PREFIX).upper()


API_KEYS = Kind("api_keys", ApiKey, fields=("user_id", "created_at"), indexes=(("user_id", "created_at"),))


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def token_of(key: ApiKey, secret: str) -> str:
    """Write the token that a program sends."""
    return f"{key.prefix}_{secret}"


def is_api_key(token: str) -> bool:
    return token.startswith(_TOKEN_PREFIX)


def parse_token(token: str) -> tuple[ApiKeyId, str] | None:
    """Give the id and the secret; None where it has not the form."""
    name, _, secret = token.removeprefix(_TOKEN_PREFIX).partition("_")
    key_id = _ID_PREFIX + name
    return (ApiKeyId(key_id), secret) if is_id(key_id, "apikey") else None


def parse_access_key_id(text: str) -> ApiKeyId | None:
    """Give the id of the key that signed; None where it has not the form."""
    key_id = _ID_PREFIX + text.removeprefix(_ACCESS_KEY_PREFIX).lower()
    return ApiKeyId(key_id) if text.startswith(_ACCESS_KEY_PREFIX) and is_id(key_id, "apikey") else None
