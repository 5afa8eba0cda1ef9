"""
Signed tokens: JWTs with EdDSA, each made for one purpose, which its audience names.

Refresh tokens are not signed but random, since they must be looked up anyhow (services/accounts.py).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from auth.receipts import write_receipt
from domain.clock import Clock
from domain.errors import TokenExpired, TokenInvalid
from domain.file import File
from domain.ids import FileId, FileVersionId, SessionId, ShareLinkId, TenantId, UploadId, UserId
from domain.principal import Scope
from domain.user import SigningKey

ALGORITHM = "EdDSA"
_ACCESS = "lighterage:access"
_DOWNLOAD = "lighterage:download"
_UPLOAD = "lighterage:upload"
_GUEST = "lighterage:guest"
_TOKEN_LENGTH_MAX = 4096


@dataclass(frozen=True, slots=True)
class AccessClaims:
    user_id: UserId
    tenant_id: TenantId | None
    session_id: SessionId
    scopes: frozenset[Scope]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DownloadClaims:
    tenant_id: TenantId
    file_id: FileId
    inline: bool
    version_id: FileVersionId | None = None


@dataclass(frozen=True, slots=True)
class UploadClaims:
    tenant_id: TenantId
    user_id: UserId
    upload_id: UploadId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GuestClaims:
    """
    Attributes:
        visit: Names this one opening of the link, so that what is done by it counts as one use.
    """

    link_id: ShareLinkId
    visit: str
    expires_at: datetime


def new_private_key() -> str:
    """Make an Ed25519 key, as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class TokenService:
    """Issues and checks tokens with one key."""

    def __init__(self, key: SigningKey, *, issuer: str, clock: Clock) -> None:
        private = load_pem_private_key(key.private_pem.encode(), password=None)
        assert isinstance(private, Ed25519PrivateKey), "signing keys are made by new_private_key"
        self._private = private
        self._public = private.public_key()
        self._key_id = key.id
        self._issuer = issuer
        self._clock = clock

    def jwks(self) -> dict[str, Any]:
        """Give the public key as a JWK Set (RFC 7517), for those who check our tokens themselves."""
        jwk = json.loads(OKPAlgorithm.to_jwk(self._public))
        return {"keys": [{**jwk, "kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}

    def _issue(self, audience: str, expires_at: datetime, claims: Mapping[str, object]) -> str:
        content = {
            "iss": self._issuer,
            "aud": audience,
            "iat": int(self._clock.now().timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_urlsafe(9),
            **claims,
        }
        return jwt.encode(content, self._private, algorithm=ALGORITHM, headers={"kid": self._key_id})

    def _verify(self, token: str, audience: str) -> dict[str, Any]:
        if len(token) > _TOKEN_LENGTH_MAX:
            raise TokenInvalid("the token is not valid")
        # The time is compared here and not by the library, which asks the machine's clock.
        options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iss", "aud"]}
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._public, algorithms=[ALGORITHM], audience=audience, issuer=self._issuer, options=options
            )
            expires_at = float(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise TokenInvalid("the token is not valid") from error
        if self._clock.now().timestamp() >= expires_at:
            raise TokenExpired("the token has expired")
        return claims

    def sign_receipt(self, file: File, *, issuer: str) -> str:
        """Make the receipt of a file whose digest is known."""
        return write_receipt(file, issuer=issuer, private_key=self._private, key_id=self._key_id)

    def issue_access(
        self,
        *,
        user_id: UserId,
        tenant_id: TenantId | None,
        session_id: SessionId,
        scopes: frozenset[Scope],
        lifetime: timedelta,
    ) -> tuple[str, datetime]:
        """Make a token for a session, and say when it ends."""
        expires_at = self._clock.now() + lifetime
        scope = " ".join(sorted(scope.value for scope in scopes))
        claims = {"sub": user_id, "tid": tenant_id, "sid": session_id, "scope": scope}
        return self._issue(_ACCESS, expires_at, claims), expires_at

    def verify_access(self, token: str) -> AccessClaims:
        """Raise TokenInvalid or TokenExpired unless it is a good access token of ours."""
        claims = self._verify(token, _ACCESS)
        try:
            scopes = frozenset(Scope(scope) for scope in claims["scope"].split())
            tenant_id = TenantId(claims["tid"]) if claims["tid"] is not None else None
            user_id, session_id = UserId(claims["sub"]), SessionId(claims["sid"])
        except (KeyError, ValueError, AttributeError) as error:
            raise TokenInvalid("the token is not valid") from error
        return AccessClaims(user_id, tenant_id, session_id, scopes, _time(claims))

    def issue_download(
        self,
        *,
        tenant_id: TenantId,
        file_id: FileId,
        inline: bool,
        lifetime: timedelta,
        version_id: FileVersionId | None = None,
    ) -> str:
        """Make a token that is good for reading one file, or one version of it, by whoever holds it."""
        claims: dict[str, object] = {"tid": tenant_id, "fid": file_id, "inline": inline}
        if version_id is not None:
            claims["vid"] = version_id
        return self._issue(_DOWNLOAD, self._clock.now() + lifetime, claims)

    def verify_download(self, token: str) -> DownloadClaims:
        claims = self._verify(token, _DOWNLOAD)
        vid = claims.get("vid")
        version_id = None if vid is None else FileVersionId(vid)
        return DownloadClaims(TenantId(claims["tid"]), FileId(claims["fid"]), bool(claims["inline"]), version_id)

    def issue_upload(self, *, tenant_id: TenantId, user_id: UserId, upload_id: UploadId, expires_at: datetime) -> str:
        """Make a token that is good for one upload only, so that a long transfer outlives its session."""
        return self._issue(_UPLOAD, expires_at, {"tid": tenant_id, "sub": user_id, "uid": upload_id})

    def verify_upload(self, token: str) -> UploadClaims:
        claims = self._verify(token, _UPLOAD)
        return UploadClaims(TenantId(claims["tid"]), UserId(claims["sub"]), UploadId(claims["uid"]), _time(claims))

    def issue_guest(self, *, link_id: ShareLinkId, expires_at: datetime) -> str:
        """Make a token for whoever opened a share link, and knew its password where it has one."""
        return self._issue(_GUEST, expires_at, {"lid": link_id})

    def verify_guest(self, token: str) -> GuestClaims:
        claims = self._verify(token, _GUEST)
        return GuestClaims(ShareLinkId(claims["lid"]), str(claims["jti"]), _time(claims))


def audience_of(token: str) -> str | None:
    """Give the audience that a token claims, unchecked: only to choose which check it has to pass."""
    try:
        audience = jwt.decode(token, options={"verify_signature": False}).get("aud")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return audience if isinstance(audience, str) else None


def is_upload_token(token: str) -> bool:
    return audience_of(token) == _UPLOAD


def is_guest_token(token: str) -> bool:
    return audience_of(token) == _GUEST


def _time(claims: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(claims["exp"]), UTC)
