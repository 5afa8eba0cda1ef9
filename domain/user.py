"""Users and their log-ins."""

import re
from dataclasses import dataclass
from datetime import datetime

from domain.errors import InvalidValue
from domain.ids import SYSTEM, TenantId, UserId
from domain.records import Kind

EMAIL_LENGTH_MAX = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
NAME_LENGTH_MAX = 100
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f./\\]+(\.[^@\s\x00-\x1f\x7f./\\]+)*")


@dataclass(frozen=True, slots=True)
class User:
    """
    Somebody who can log in, by user name or by e-mail address.

    Attributes:
        username: Case-folded, unique; the e-mail address where none was chosen.
        email: Lower case, unique; None for users made by name alone.
        password_hash: In the hash's own self-describing form.
        is_active: False stops log-ins and tokens that are out already.
        identity: Issuer and subject at another server that this user logs in with; unique.
        tenant_wish: What a tenant of their own shall be called once the e-mail address is confirmed; None for users who
            have one, or were asked into another's.
    """

    id: str
    username: str
    email: str | None
    password_hash: str
    created_at: datetime
    name: str | None = None
    is_active: bool = True
    email_verified_at: datetime | None = None
    tenant_wish: str | None = None
    identity: str | None = None
    tenant_id: str = SYSTEM
    revision: int = 0


USERS = Kind(
    "users",
    User,
    fields=("username", "email", "identity", "created_at"),
    unique=(("username",), ("email",), ("identity",)),
)


@dataclass(frozen=True, slots=True)
class Session:
    """
    One log-in, kept alive by refresh tokens that are good for one use each.

    Attributes:
        secret_hash: SHA-256 of the secret of the refresh token that is good now, hex.
        family_hash: SHA-256 of what all refresh tokens of this log-in have in common, hex. Who knows it once held one.
            Empty, and so nobody's, in log-ins of before there was one: they end with their access token.
        is_revoked: By log-out, or because a used refresh token came again.
    """

    id: str
    user_id: UserId
    in_tenant: TenantId | None
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    family_hash: str = ""
    is_revoked: bool = False
    tenant_id: str = SYSTEM
    revision: int = 0


SESSIONS = Kind(
    "sessions", Session, fields=("user_id", "expires_at"), indexes=(("user_id", "expires_at"), ("expires_at",))
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens; kept with the records so that every process signs with the same."""

    id: str
    private_pem: str
    created_at: datetime
    tenant_id: str = SYSTEM
    revision: int = 0


SIGNING_KEYS = Kind("signing_keys", SigningKey, fields=("created_at",))


def parse_email(text: str) -> str:
    """
    Check an e-mail address and bring it to the form that is kept.

    Raises:
        InvalidValue: It has not the form `somebody@somewhere`.
    """
    email = text.strip().lower()
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email):
        raise InvalidValue("this is not an e-mail address", path=("email",))
    return email


def parse_name(text: str, *, field: str) -> str:
    """
    Check a name for people, of a user or a tenant.

    Raises:
        InvalidValue: It is empty, too long, or has control characters in it.
    """
    name = text.strip()
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidValue(f"a name has 1 to {NAME_LENGTH_MAX} printable characters", path=(field,))
    return name


def parse_username(text: str) -> str:
    """
    Check a user name and bring it to the form that is kept.

    Raises:
        InvalidValue: It is empty, too long, or has control characters or slashes in it.
    """
    username = text.strip().casefold()
    if not 0 < len(username) <= NAME_LENGTH_MAX or not username.isprintable() or "/" in username:
        raise InvalidValue(f"a user name has 1 to {NAME_LENGTH_MAX} printable characters, no '/'", path=("username",))
    return username
