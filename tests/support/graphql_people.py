"""
Everybody who may ask, over the whole product on a real socket: a tenant with each role in it, a stranger, a guest; and
the things of that tenant, made anew for each question that may change them.
"""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from domain.apikey import API_KEYS
from domain.file import FILES, Visibility
from domain.ids import (
    SYSTEM,
    FileId,
    TenantId,
    UploadId,
    UserId,
    new_api_key_id,
    new_file_id,
    new_share_link_id,
    new_tenant_id,
    new_upload_id,
    new_user_id,
    new_version_id,
)
from domain.page import PAGE_SIZE_MAX, Condition, Order, PageRequest, Position, encode_cursor, equals
from domain.principal import ALL_SCOPES, Principal, Scope
from domain.records import Kind
from domain.share import SHARE_LINKS, ShareLinkKind
from domain.tenant import MEMBERSHIPS, Membership, TenantRole, membership_id
from domain.ticket import Purpose
from domain.upload import UPLOADS, AppendBytes, NewUpload
from domain.user import USERS
from lighterage.assembly import Product
from services.accounts import IssuedSession
from services.shares import NewShareLink
from services.tickets import Tickets
from tests.support.graphql_client import events_of, open_socket, serve
from tests.support.product import NOON, PASSWORD, World, body, open_world

MARK = "anchor chain"
"""In the name of everything that the tenant has: what a stranger's answer must not hold."""
PEOPLE = ("guest", "other", "viewer", "colleague", "member", "admin", "owner", "key")
_ROLES = {
    "viewer": TenantRole.VIEWER,
    "colleague": TenantRole.MEMBER,
    "member": TenantRole.MEMBER,
    "admin": TenantRole.ADMIN,
    "owner": TenantRole.OWNER,
}
_PLACEHOLDER = re.compile(r"\$[a-z]+")


@dataclass
class Person:
    """
    Somebody who asks.

    Attributes:
        session: Of whoever logs in by it; None for a guest, and for a program with a key.
    """

    name: str
    email: str
    principal: Principal
    token: str | None
    session: IssuedSession | None = None


class Everyone:
    """The tenant, its people and its things; `member` is who uploaded these and made them."""

    def __init__(self, world: World, address: str) -> None:
        self.world = world
        self.address = address
        self.people: dict[str, Person] = {}
        self._http = httpx2.AsyncClient(base_url=f"http://{address}", timeout=20)
        self._count = 0
        self._versioned: FileId | None = None

    @property
    def product(self) -> Product:
        return self.world.product

    @property
    def tenant_id(self) -> TenantId:
        return TenantId(self.people["owner"].principal.tenant_id or "")

    async def close(self) -> None:
        await self._http.aclose()

    # ---- people

    async def settle(self) -> None:
        """Let everybody in."""
        founder = await self._new_user("owner")
        tenant = (await self.product.services.accounts.memberships_of(founder))[0][1]
        self.people["owner"] = await self.log_in("owner", TenantId(tenant.id))
        for name, role in _ROLES.items():
            if name != "owner":
                await self._join(await self._new_user(name), TenantId(tenant.id), role)
                self.people[name] = await self.log_in(name, TenantId(tenant.id))
        stranger = await self._new_user("other")
        home = (await self.product.services.accounts.memberships_of(stranger))[0][1]
        self.people["other"] = await self.log_in("other", TenantId(home.id))
        await self.file_of(self.people["other"])
        await self.file_of(self.people["member"])
        self.people["guest"] = Person("guest", "guest@example.org", Principal(), None)
        self.people["key"] = await self.key_of("owner", ALL_SCOPES)

    async def _new_user(self, name: str) -> UserId:
        tenant_name = MARK if name == "owner" else name
        accounts = self.product.services.accounts
        saved = await accounts.save_user(f"{name}@example.org", PASSWORD, tenant_name=tenant_name)
        return UserId(saved.user.id)

    async def _join(self, user_id: UserId, tenant_id: TenantId, role: TenantRole) -> None:
        joined = Membership(membership_id(user_id, tenant_id), user_id, tenant_id, role, NOON)
        await self.product.records.collection(MEMBERSHIPS).add(joined)

    async def log_in(self, name: str, tenant_id: TenantId | None) -> Person:
        accounts, email = self.product.services.accounts, f"{name}@example.org"
        session = await accounts.log_in(email, PASSWORD, client="test")
        if session.principal.tenant_id != tenant_id:
            session = await accounts.refresh(session.refresh_token, client="test", tenant_id=tenant_id)
        return Person(name, email, session.principal, session.access_token, session)

    async def key_of(self, name: str, scopes: frozenset[Scope]) -> Person:
        """Give a program that asks with a key of somebody's, so narrow."""
        person = self.people[name]
        issued = await self.product.services.keys.create(
            person.principal, name=f"{MARK} key", scopes=list(scopes), expires_at=None, client="test"
        )
        principal = await self.product.services.accounts.authenticate(issued.token)
        return Person(f"key of {name}", person.email, principal, issued.token)

    async def state(self) -> list[tuple[str, int]]:
        """Give what the tenant has, each with its revision: what a refused change leaves as it was."""
        member_id = self.people["member"].principal.user_id
        own = [
            *await self._all(FILES, self.tenant_id),
            *await self._all(UPLOADS, self.tenant_id),
            *await self._all(MEMBERSHIPS, SYSTEM, equals("member_of", self.tenant_id)),
            *await self._all(API_KEYS, SYSTEM, equals("user_id", member_id)),
            *await self._all(SHARE_LINKS, SYSTEM, equals("in_tenant", self.tenant_id)),
        ]
        return sorted((record.id, record.revision) for record in own)

    async def _all(self, kind: Kind[Any], tenant_id: TenantId, *where: Condition) -> list[Any]:
        collection, order = self.product.records.collection(kind), Order(kind.fields[0])
        found: list[Any] = []
        after = None
        while True:
            page = await collection.list(tenant_id, where, order=order, page=PageRequest(PAGE_SIZE_MAX, after=after))
            found += page.items
            if not page.has_next:
                return found
            after = Position(getattr(found[-1], order.field), found[-1].id)

    # ---- things

    async def file_of(self, person: Person, *, name: str | None = None) -> FileId:
        """Upload a file that everybody in the tenant may see."""
        content, uploads = b"name,points\nanna,1\n", self.product.services.uploads
        name = name or ("own.csv" if person.name == "other" else f"{MARK}.csv")
        new = NewUpload(name=name, length=len(content), visibility=Visibility.TENANT)
        begun = await uploads.begin(person.principal, new)
        command = AppendBytes(UploadId(begun.id), offset=0)
        done = await uploads.append(person.principal, command, body(content))
        assert done.file_id is not None
        return FileId(done.file_id)

    async def thing(self, kind: str, asking: Person) -> str:
        """
        Make one of the tenant's things; gives what names it.

        `cursor`, `refresh`, `invitation`, `email` and `ownfile` are of who asks: what they would send.
        """
        make: Callable[[Person], Awaitable[str]] = getattr(self, f"_make_{kind}")
        return await make(asking)

    async def _make_file(self, _: Person) -> str:
        return await self.file_of(self.people["member"])

    async def _make_versioned(self, _: Person) -> str:
        """A file with two contents; `version` is the first of them."""
        member, uploads = self.people["member"].principal, self.product.services.uploads
        self._versioned = await self.file_of(self.people["member"])
        upload = await uploads.begin(member, NewUpload("", 5, FileId(self._versioned)))
        await uploads.append(member, AppendBytes(UploadId(upload.id), offset=0), body(b"again"))
        return self._versioned

    async def _make_version(self, asking: Person) -> str:
        member, services = self.people["member"].principal, self.product.services
        if self._versioned is None:
            await self._make_versioned(asking)
        file = await services.files.get(member, FileId(self._versioned or ""))
        self._versioned = None
        return (await services.versions.list_of_file(member, file))[1].id

    async def _make_trashed(self, _: Person) -> str:
        member = self.people["member"]
        file_id = await self.file_of(member)
        await self.product.services.files.delete(member.principal, [file_id])
        return file_id

    async def _make_upload(self, _: Person) -> str:
        new = NewUpload(name=f"{MARK}.bin", length=10)
        return (await self.product.services.uploads.begin(self.people["member"].principal, new)).id

    async def _make_apikey(self, _: Person) -> str:
        issued = await self.product.services.keys.create(
            self.people["member"].principal, name=MARK, scopes=[Scope.FILES_READ], expires_at=None, client="test"
        )
        return issued.key.id

    async def _make_link(self, _: Person) -> str:
        member = self.people["member"].principal
        new = NewShareLink(ShareLinkKind.DOWNLOAD, file_id=await self.file_of(self.people["member"]))
        return (await self.product.services.shares.create(member, new, client="test")).id

    async def _make_linktoken(self, _: Person) -> str:
        member = self.people["member"].principal
        # What a link tells its guests is meant for strangers.
        file_id = await self.file_of(self.people["member"], name="shared.csv")
        shares = self.product.services.shares
        link = await shares.create(member, NewShareLink(ShareLinkKind.DOWNLOAD, file_id=file_id), client="test")
        return shares.url_of(link).rpartition("/")[2]

    async def _make_tenant(self, _: Person) -> str:
        return self.tenant_id

    async def _make_slug(self, _: Person) -> str:
        return (await self.product.services.tenants.get(self.people["owner"].principal, None)).slug

    async def _make_user(self, _: Person) -> str:
        self._count += 1
        user_id = await self._new_user(f"user{self._count}")
        await self._join(user_id, self.tenant_id, TenantRole.MEMBER)
        return user_id

    async def _make_uploader(self, _: Person) -> str:
        return self.people["member"].principal.user_id or ""

    async def _make_ownfile(self, asking: Person) -> str:
        return new_file_id(NOON) if asking.principal.is_guest else await self.file_of(asking)

    async def _make_email(self, asking: Person) -> str:
        return asking.email

    async def _make_password(self, _: Person) -> str:
        return PASSWORD

    async def _make_cursor(self, asking: Person) -> str:
        return encode_cursor(Position(0, "event"), scope=f"file_events {asking.principal.tenant_id}")

    async def _make_refresh(self, asking: Person) -> str:
        if asking.session is None:
            return "none"
        return (await self.log_in(asking.name, asking.principal.tenant_id)).session.refresh_token  # type: ignore[union-attr]

    async def _make_invitation(self, asking: Person) -> str:
        # Into a third tenant: who joins this one is no stranger to it any more.
        self._count += 1
        founder = await self._new_user(f"user{self._count}")
        home = (await self.product.services.accounts.memberships_of(founder))[0][1]
        tickets = Tickets(records=self.product.records, clock=self.world.clock)
        return await tickets.invite(asking.email, TenantId(home.id), TenantRole.MEMBER, timedelta(days=1))

    async def _make_verification(self, _: Person) -> str:
        return await self._ticket(Purpose.VERIFY_EMAIL)

    async def _make_reset(self, _: Person) -> str:
        return await self._ticket(Purpose.RESET_PASSWORD)

    async def _ticket(self, purpose: Purpose) -> str:
        self._count += 1
        user_id = await self._new_user(f"user{self._count}")
        user = await self.product.records.collection(USERS).get("system", user_id)
        tickets = Tickets(records=self.product.records, clock=self.world.clock)
        return await tickets.issue(user, purpose, timedelta(days=1))

    # ---- questions

    async def filled(self, arguments: Any, asking: Person, *, there: bool = True) -> Any:
        """
        Put things where `$kind` stands in arguments.

        Args:
            there: Else an id that nobody has stands in for a thing of the tenant's.
        """
        if isinstance(arguments, dict):
            return {name: await self.filled(value, asking, there=there) for name, value in arguments.items()}
        if isinstance(arguments, list):
            return [await self.filled(value, asking, there=there) for value in arguments]
        if isinstance(arguments, str) and _PLACEHOLDER.fullmatch(arguments):
            kind = arguments[1:]
            return _MISSING[kind]() if not there and kind in _MISSING else await self.thing(kind, asking)
        return arguments

    async def ask(self, query: str, variables: Any, person: Person) -> dict[str, Any]:
        """Ask over HTTP; gives the whole answer."""
        answer = await self._http.post("/graphql", json=_content(query, variables), headers=_headers(person))
        found: dict[str, Any] = answer.json()
        return found

    async def first_event(self, query: str, variables: Any, person: Person) -> dict[str, Any]:
        """Ask for an event stream; gives what comes first."""
        headers = {**_headers(person), "Accept": "text/event-stream"}
        content = _content(query, variables)
        async with self._http.stream("POST", "/graphql", json=content, headers=headers) as answer:
            text = ""
            async with aclosing(answer.aiter_text()) as chunks:
                async for chunk in chunks:
                    text += chunk
                    events = events_of(text.rpartition("\n\n")[0])
                    if events:
                        return events[0][1] or {}
        raise AssertionError(f"a stream without any event: {text}")

    async def first_message(self, query: str, variables: Any, person: Person) -> dict[str, Any]:
        """Ask over a socket; gives the first answer, or the errors instead of one."""
        async with open_socket(self.address) as connection:
            await connection.log_in(person.token)
            await connection.subscribe(query, **variables)
            message = await connection.receive()
        payload = message.get("payload")
        return {"errors": payload} if message["type"] == "error" else dict(payload or {})


_MISSING: dict[str, Callable[[], str]] = {
    "file": lambda: new_file_id(NOON),
    "versioned": lambda: new_file_id(NOON),
    "version": lambda: new_version_id(NOON),
    "trashed": lambda: new_file_id(NOON),
    "upload": new_upload_id,
    "user": lambda: new_user_id(NOON),
    "uploader": lambda: new_user_id(NOON),
    "tenant": lambda: new_tenant_id(NOON),
    "apikey": lambda: new_api_key_id(NOON),
    "link": lambda: new_share_link_id(NOON),
    "slug": lambda: "no-such-tenant",
}
"""What names things of these kinds and nobody has."""


def _content(query: str, variables: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps({"query": query, "variables": variables}))
    return content


def _headers(person: Person) -> dict[str, str]:
    return {} if person.token is None else {"Authorization": f"Bearer {person.token}"}


@asynccontextmanager
async def open_everyone(data_dir: Path) -> AsyncGenerator[Everyone, None]:
    """Open the product behind a real socket, with everybody in it and no limit to how often they ask."""
    free = {"log_in_rate": "off", "address_rate": "off", "mail_rate": "off", "creation_rate": "off"}
    async with (
        open_world(data_dir, graphql=True, query_workers=1, query_threads=1, query_per_tenant=64, **free) as world,
        serve(world.app) as address,
    ):  # type: ignore[arg-type]
        everyone = Everyone(world, address)
        try:
            await everyone.settle()
            yield everyone
        finally:
            await everyone.close()
