"""Share links: what a guest without an account may do, by an address that holds a secret."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain.errors import LinkExhausted, LinkExpired
from domain.ids import SYSTEM, FileId, ShareLinkId, TenantId, UserId, is_id
from domain.records import Increment, Kind

LINKS_MAX = 100  # of one file that may be in use; more are not links that anybody has an eye on
USES_MAX = 1_000_000
_ID_PREFIX = "link_"
_ID_LENGTH = 26  # characters behind the prefix
_SECRET_BYTES = 18  # 144 bits, 24 characters


class ShareLinkKind(Enum):
    """DOWNLOAD: guests read one file. UPLOAD, a file request: guests upload into the tenant."""

    DOWNLOAD = "download"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class ShareLink:
    """
    Attributes:
        in_tenant: Whose file it leads to, or where its guests' files go.
        created_by: Its maker; guests' files become theirs.
        secret_hash: SHA-256 of the secret in its address, hex.
        sealed_secret: The secret, encrypted: its maker may see the address again.
        file_id: None on a link for uploads.
        use_count: Downloads, or uploads that came to a file or still may.
    """

    id: str
    in_tenant: TenantId
    kind: ShareLinkKind
    created_by: UserId
    created_at: datetime
    secret_hash: str
    sealed_secret: str
    file_id: FileId | None = None
    password_hash: str | None = None
    max_uses: int | None = None
    use_count: int = 0
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    tenant_id: str = SYSTEM
    revision: int = 0

    @property
    def over_at(self) -> datetime | None:
        """When it ended or will; None: never."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return min(ends, default=None)

    def require_live(self, *, now: datetime) -> None:
        """Raise LinkExpired where its time is over."""
        if self.over_at is not None and self.over_at <= now:
            raise LinkExpired

    def require_unused(self) -> None:
        """Raise LinkExhausted where it was used as often as it may be."""
        if self.max_uses is not None and self.use_count >= self.max_uses:
            raise LinkExhausted

    def use(self, *, once: str) -> Increment:
        """Make the write that counts one use; it is a Conflict where none is left. `once` names the use."""
        at_most = {} if self.max_uses is None else {"use_count": self.max_uses}
        return Increment(SHARE_LINKS, SYSTEM, self.id, {"use_count": 1}, at_most=at_most, once=once)

    def give_back(self, *, once: str) -> tuple[Increment, Increment]:
        """
        Make the writes after which the use of this name does not count.

        It is counted first, which does nothing where it was: so it comes to nothing where a crash kept it from being.
        """
        used = Increment(SHARE_LINKS, SYSTEM, self.id, {"use_count": 1}, once=once)
        return used, Increment(SHARE_LINKS, SYSTEM, self.id, {"use_count": -1}, once=f"{once}.back")


SHARE_LINKS = Kind(
    "share_links",
    ShareLink,
    fields=("in_tenant", "file_id", "created_by", "created_at", "over_at"),
    indexes=(
        ("in_tenant", "created_at"),
        ("in_tenant", "created_by", "created_at"),
        ("file_id", "created_at"),
        ("over_at",),
    ),
)


def new_secret() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def token_of(link: ShareLink, secret: str) -> str:
    """Write what stands in the link's address."""
    return link.id.removeprefix(_ID_PREFIX) + secret


def parse_token(token: str) -> tuple[ShareLinkId, str] | None:
    """Give the id and the secret; None where it has not the form."""
    link_id = _ID_PREFIX + token[:_ID_LENGTH]
    return (ShareLinkId(link_id), token[_ID_LENGTH:]) if is_id(link_id, "link") else None
