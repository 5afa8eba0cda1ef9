"""Who is asking: made once at the door, handed to every service."""

from dataclasses import dataclass
from enum import Enum

from domain.ids import ApiKeyId, SessionId, ShareLinkId, TenantId, UserId
from domain.tenant import TenantRole


class Scope(Enum):
    """What a token lets its bearer do, within what the role allows."""

    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    FILES_SHARE = "files:share"
    FILES_QUERY = "files:query"
    TENANT_ADMIN = "tenant:admin"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """
    The caller of a use case.

    Attributes:
        user_id: None for a guest.
        tenant_id: The tenant that the token was made for; None for a guest.
        role: What the user is in that tenant.
        session_id: The log-in behind the token, if there is one.
        link_id: The file request that a guest came in by; such a guest uploads into its tenant and does nothing else.
        api_key_id: The API key that was sent instead of a log-in's token.
        upload_id: The one upload that a capability token is good for; such a token is good for nothing else.
    """

    user_id: UserId | None = None
    tenant_id: TenantId | None = None
    role: TenantRole | None = None
    scopes: frozenset[Scope] = frozenset()
    session_id: SessionId | None = None
    upload_id: str | None = None
    api_key_id: ApiKeyId | None = None
    link_id: ShareLinkId | None = None

    @property
    def is_guest(self) -> bool:
        return self.user_id is None


GUEST = Principal()
