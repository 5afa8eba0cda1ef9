"""The use cases of share links: make, list, end; and what a guest does who holds one."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from auth.passwords import PasswordHasher, check_password
from auth.policy import Action, is_admin, require
from auth.sealing import Sealer
from auth.tokens import TokenService
from domain.audit import AuditAction
from domain.blob import BlobStore
from domain.clock import Clock
from domain.errors import (
    Conflict,
    FileDeleted,
    InvalidValue,
    LinkExhausted,
    LinkPasswordRequired,
    NotFound,
    PermissionDenied,
    TokenExpired,
    TokenInvalid,
)
from domain.file import FILES, File, FileStatus
from domain.ids import SYSTEM, FileId, ShareLinkId, TenantId, new_share_link_id
from domain.page import Condition, Order, Page, Position, encode_cursor, equals, page_request
from domain.principal import Principal
from domain.records import Add, Records, Save
from domain.share import (
    LINKS_MAX,
    SHARE_LINKS,
    USES_MAX,
    ShareLink,
    ShareLinkKind,
    new_secret,
    parse_token,
    token_of,
)
from domain.tenant import TENANTS, Limits
from services.audit import AuditLog
from services.files import Content
from services.throttling import Throttle

PATH = "/s/"
DOWNLOAD_VISIT = timedelta(hours=1)  # how long a download may be begun, or taken up again, as one use
UPLOAD_VISIT = timedelta(days=1)  # how long a guest may upload before the link must be opened anew
REVOKE_TRIES = 10  # while guests use the link in between

_NEWEST_FIRST = Order("created_at", descending=True)


@dataclass(frozen=True, slots=True)
class NewShareLink:
    """
    What a link is to be.

    Attributes:
        file_id: The file that guests read; None for a file request.
        tenant_id: Where guests upload to; None: the caller's.
    """

    kind: ShareLinkKind
    file_id: FileId | None = None
    tenant_id: TenantId | None = None
    expires_at: datetime | None = None
    max_uses: int | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class SharePage:
    """One page of links, and what its cursors are made with."""

    page: Page[ShareLink]
    scope: str

    def cursor_of(self, link: ShareLink) -> str:
        return encode_cursor(Position(link.created_at, link.id), scope=self.scope)


@dataclass(frozen=True, slots=True)
class SharedFile:
    """
    A file as its guest sees it.

    Attributes:
        url: Where its bytes are, for a time; None while they may not be read.
    """

    link: ShareLink
    file: File
    url: str | None


@dataclass(frozen=True, slots=True)
class FileRequest:
    """
    A file request as its guest sees it.

    Attributes:
        uploads_url: Where tus clients create uploads.
        token: What they send as `Authorization: Bearer …`.
        length_max: Bytes in one file at most.
    """

    link: ShareLink
    uploads_url: str
    token: str
    token_expires_at: datetime
    length_max: int
    content_types: tuple[str, ...] | None


class ShareService:
    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        tokens: TokenService,
        sealer: Sealer,
        passwords: PasswordHasher,
        audit: AuditLog,
        throttle: Throttle,
        clock: Clock,
        public_url: str,
        uploads_url: str,
        length_max: int,
    ) -> None:
        self._records = records
        self._links = records.collection(SHARE_LINKS)
        self._files = records.collection(FILES)
        self._blobs = blobs
        self._tokens = tokens
        self._sealer = sealer
        self._passwords = passwords
        self._audit = audit
        self._throttle = throttle
        self._clock = clock
        self._public_url = public_url
        self._uploads_url = uploads_url
        self._length_max = length_max

    # ---- those who share

    async def create(self, principal: Principal, new: NewShareLink, *, client: str) -> ShareLink:
        """
        Make a link.

        Raises:
            InvalidValue: A value is not taken, or the file has too many links.
            FileDeleted: The file is in the trash.
        """
        now = self._clock.now()
        tenant_id = await self._require_create(principal, new)
        assert principal.user_id is not None
        if new.expires_at is not None and new.expires_at <= now:
            raise InvalidValue("this moment is over", path=("expires_at",), reason="out_of_range")
        if new.max_uses is not None and not 0 < new.max_uses <= USES_MAX:
            raise InvalidValue(f"maxUses must be from 1 to {USES_MAX}", path=("max_uses",), reason="out_of_range")
        if new.password is not None:
            check_password(new.password)
        link_id, secret = new_share_link_id(now), new_secret()
        link = ShareLink(
            id=link_id,
            in_tenant=tenant_id,
            kind=new.kind,
            created_by=principal.user_id,
            created_at=now,
            secret_hash=_hash(secret),
            sealed_secret=self._sealer.seal(secret, name=link_id),
            file_id=new.file_id,
            password_hash=None if new.password is None else await self._passwords.hash(new.password),
            max_uses=new.max_uses,
            expires_at=new.expires_at,
            revision=1,
        )
        entry = self._audit.entry(
            AuditAction.SHARE_LINK_CREATED,
            principal.user_id,
            tenant_id=tenant_id,
            subject_id=link_id,
            client=client,
            detail=new.kind.value if new.file_id is None else f"{new.kind.value} {new.file_id}",
        )
        await self._records.write(Add(SHARE_LINKS, link), entry)
        return link

    async def _require_create(self, principal: Principal, new: NewShareLink) -> TenantId:
        if new.tenant_id is not None and new.tenant_id != principal.tenant_id:
            require(principal, Action.REQUEST_FILES)
            raise NotFound("tenant")
        if new.kind is ShareLinkKind.UPLOAD:
            if new.file_id is not None:
                raise InvalidValue("a link for uploads leads to no file", path=("file_id",))
            return require(principal, Action.REQUEST_FILES)
        if new.file_id is None:
            require(principal, Action.SHARE_FILE)
            raise InvalidValue("a link for downloads needs a file", path=("file_id",), reason="required")
        if principal.tenant_id is None:
            return require(principal, Action.SHARE_FILE)
        file = await self._files.get(principal.tenant_id, new.file_id)
        tenant_id = require(principal, Action.SHARE_FILE, file)
        if file.is_gone(now=self._clock.now()):
            raise FileDeleted
        if await self._links.count(SYSTEM, [equals("file_id", file.id)]) >= LINKS_MAX:
            raise InvalidValue(f"a file has at most {LINKS_MAX} links", path=("file_id",), reason="too_long")
        return tenant_id

    async def revoke(self, principal: Principal, link_id: ShareLinkId, *, client: str) -> ShareLink:
        """End a link at once; one that has ended stays as it is."""
        for _ in range(REVOKE_TRIES):
            link = await self.get(principal, link_id)
            if link.revoked_at is not None:
                return link
            revoked = replace(link, revoked_at=self._clock.now())
            entry = self._audit.entry(
                AuditAction.SHARE_LINK_REVOKED,
                principal.user_id,
                tenant_id=link.in_tenant,
                subject_id=link.id,
                client=client,
            )
            try:
                await self._records.write(Save(SHARE_LINKS, revoked, link.revision), entry)
            except Conflict:
                continue  # a guest used it in between
            return replace(revoked, revision=link.revision + 1)
        raise Conflict("this link is in so much use that it could not be ended; try again")

    async def get(self, principal: Principal, link_id: ShareLinkId) -> ShareLink:
        """Give a link of the caller's, to an admin any of the tenant's."""
        require(principal, Action.MANAGE_LINKS)
        link = await self._links.get(SYSTEM, link_id)
        require(principal, Action.MANAGE_LINKS, link)
        return link

    async def list_of_tenant(self, principal: Principal, *, first: int, after: str | None) -> SharePage:
        """Give the caller's links, to an admin all of the tenant's, newest first."""
        tenant_id = require(principal, Action.MANAGE_LINKS)
        return await self._list(principal, [equals("in_tenant", tenant_id)], first=first, after=after)

    async def list_of_file(self, principal: Principal, file: File, *, first: int, after: str | None) -> SharePage:
        """Give the links to a file that the caller made, to an admin all of them, newest first."""
        require(principal, Action.MANAGE_LINKS, file)
        return await self._list(principal, [equals("file_id", file.id)], first=first, after=after)

    async def count_of_tenant(self, principal: Principal) -> int:
        tenant_id = require(principal, Action.MANAGE_LINKS)
        return await self._links.count(SYSTEM, [equals("in_tenant", tenant_id), *_own(principal)])

    async def count_of_file(self, principal: Principal, file: File) -> int:
        require(principal, Action.MANAGE_LINKS, file)
        return await self._links.count(SYSTEM, [equals("file_id", file.id), *_own(principal)])

    async def _list(self, principal: Principal, where: list[Condition], *, first: int, after: str | None) -> SharePage:
        where = [*where, *_own(principal)]
        scope = f"share links {where!r}"
        request = page_request(first=first, after=after, last=None, before=None, scope=scope)
        return SharePage(await self._links.list(SYSTEM, where, order=_NEWEST_FIRST, page=request), scope)

    def url_of(self, link: ShareLink) -> str:
        """Give the link's address, as its guests need it."""
        secret = self._sealer.open(link.sealed_secret, name=link.id)
        return f"{self._public_url}{PATH}{token_of(link, secret)}"

    # ---- their guests

    async def open(self, token: str, password: str | None, *, client: str) -> SharedFile | FileRequest:
        """
        Show a guest what is behind a link. It counts as no use.

        Raises:
            NotFound: There is no such link.
            LinkExpired, LinkExhausted, FileDeleted: There is nothing behind it any more.
            LinkPasswordRequired: The password is missing or wrong.
        """
        link = await self._find(token)
        link.require_live(now=self._clock.now())
        await self._check_password(link, password, client=client)
        link.require_unused()
        if link.kind is ShareLinkKind.UPLOAD:
            return await self._request(link)
        file = await self._file_of(link)
        if file.status is not FileStatus.READY:
            return SharedFile(link, file, None)
        visit = self._tokens.issue_guest(link_id=ShareLinkId(link.id), expires_at=self._visit_end(link, DOWNLOAD_VISIT))
        return SharedFile(link, file, f"{self._public_url}{PATH}{token}/content?visit={visit}")

    async def content(
        self, token: str, *, visit: str | None, password: str | None, client: str, counts: bool
    ) -> Content:
        """
        Give the file behind a link to read from.

        Args:
            visit: From the address that `open` gave: all requests with it are one use. Without it, each is one.
            counts: False where no byte is going to be read.

        Raises:
            As `open` does.
            PermissionDenied: The visit is over.
        """
        link = await self._find(token)
        link.require_live(now=self._clock.now())
        if visit is None:
            await self._check_password(link, password, client=client)
        name = new_secret() if visit is None else self._visit_of(link, visit)
        if link.kind is not ShareLinkKind.DOWNLOAD:
            raise NotFound("shared file")
        file = await self._file_of(link)
        file.require_ready()
        if counts:
            try:
                await self._records.write(link.use(once=name))
            except Conflict as error:
                raise LinkExhausted from error
        return Content(file, self._blobs, inline=False)

    async def _find(self, token: str) -> ShareLink:
        parsed = parse_token(token)
        if parsed is None:
            raise NotFound("share link")
        link_id, secret = parsed
        link = await self._links.get(SYSTEM, link_id)
        if not hmac.compare_digest(link.secret_hash, _hash(secret)):
            raise NotFound("share link")
        return link

    async def _check_password(self, link: ShareLink, password: str | None, *, client: str) -> None:
        if link.password_hash is None:
            return
        if password is None:
            raise LinkPasswordRequired(is_wrong=False)
        await self._throttle.log_in(link.id, client=client)
        if not await self._passwords.verify(password, link.password_hash):
            raise LinkPasswordRequired(is_wrong=True)
        await self._throttle.logged_in(link.id, client=client)

    def _visit_of(self, link: ShareLink, visit: str) -> str:
        try:
            claims = self._tokens.verify_guest(visit)
        except TokenExpired as error:
            raise PermissionDenied("the time of this download is over; open the link again") from error
        except TokenInvalid as error:
            raise PermissionDenied("this download address is not valid; open the link again") from error
        if claims.link_id != link.id:
            raise PermissionDenied("this download address is of another link; open the link again")
        return claims.visit

    async def _file_of(self, link: ShareLink) -> File:
        assert link.file_id is not None
        try:
            file = await self._files.get(link.in_tenant, link.file_id)
        except NotFound as error:
            raise FileDeleted from error
        if file.is_gone(now=self._clock.now()):
            raise FileDeleted
        return file

    async def _request(self, link: ShareLink) -> FileRequest:
        tenant = await self._records.collection(TENANTS).get(SYSTEM, link.in_tenant)
        limits: Limits = tenant.limits
        expires_at = self._visit_end(link, UPLOAD_VISIT)
        return FileRequest(
            link=link,
            uploads_url=self._uploads_url,
            token=self._tokens.issue_guest(link_id=ShareLinkId(link.id), expires_at=expires_at),
            token_expires_at=expires_at,
            length_max=min(self._length_max, limits.file_size_max or self._length_max),
            content_types=limits.content_types,
        )

    def _visit_end(self, link: ShareLink, lifetime: timedelta) -> datetime:
        end = self._clock.now() + lifetime
        # An upload that began in time may come to its end; a download is not begun anew.
        if link.kind is ShareLinkKind.UPLOAD or link.expires_at is None:
            return end
        return min(end, link.expires_at)


def _own(principal: Principal) -> list[Condition]:
    return [] if is_admin(principal) else [equals("created_by", principal.user_id)]


def _hash(secret: str) -> str:
    # The secret has 144 random bits: a plain hash is enough.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
