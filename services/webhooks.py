"""The use cases of webhooks: make, list, change, remove, and set back to where they were."""

from collections.abc import Sequence
from dataclasses import replace

from auth.policy import Action, require
from auth.sealing import Sealer
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import CursorTooOld, InvalidValue, NotFound
from domain.event import FILE_EVENTS
from domain.ids import TenantId, WebhookId, is_id, new_webhook_id
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, decode_cursor
from domain.principal import Principal
from domain.records import Add, Delete, Records
from domain.webhook import WEBHOOKS, Webhook, WebhookEvent, new_secret, parse_secret, parse_url
from services.audit import AuditLog
from services.files import event_scope

WEBHOOKS_MAX = 20  # of one tenant

_BY_NUMBER = Order("number")


class WebhookService:
    def __init__(
        self,
        *,
        records: Records,
        sealer: Sealer,
        audit: AuditLog,
        clock: Clock,
        allow_http: bool,
    ) -> None:
        self._records = records
        self._webhooks = records.collection(WEBHOOKS)
        self._events = records.collection(FILE_EVENTS)
        self._sealer = sealer
        self._audit = audit
        self._clock = clock
        self._allow_http = allow_http

    # ---- manage

    async def create(
        self,
        principal: Principal,
        *,
        url: str,
        events: Sequence[WebhookEvent] = (),
        secret: str | None = None,
        after: str | None = None,
        client: str,
    ) -> tuple[Webhook, str]:
        """
        Make a webhook, and give the secret that its requests are signed with; it is shown this once.

        Args:
            events: What it is told; empty: everything.
            after: A cursor of file events: tell what came behind it. None: from now on.
        """
        tenant_id = require(principal, Action.MANAGE_WEBHOOKS)
        assert principal.user_id is not None
        url = parse_url(url, allow_http=self._allow_http)
        secret = new_secret() if secret is None else parse_secret(secret)
        if await self._webhooks.count(tenant_id) >= WEBHOOKS_MAX:
            raise InvalidValue(f"a tenant has at most {WEBHOOKS_MAX} webhooks; remove one first", reason="too_long")
        now = self._clock.now()
        webhook_id = new_webhook_id(now)
        webhook = Webhook(
            id=webhook_id,
            tenant_id=tenant_id,
            url=url,
            events=tuple(event for event in WebhookEvent if event in events),
            sealed_secret=self._sealer.seal(secret, name=webhook_id),
            created_by=principal.user_id,
            created_at=now,
            position=await self._position(tenant_id, after),
            due_at=now,
            revision=1,
        )
        entry = self._audit.entry(
            AuditAction.WEBHOOK_CREATED, principal.user_id, tenant_id=tenant_id, subject_id=webhook_id, client=client
        )
        await self._records.write(Add(WEBHOOKS, webhook), entry)
        return webhook, secret

    async def list_all(self, principal: Principal) -> list[Webhook]:
        tenant_id = require(principal, Action.MANAGE_WEBHOOKS)
        page = await self._webhooks.list(tenant_id, order=Order("created_at"), page=PageRequest(PAGE_SIZE_MAX))
        return page.items

    async def get(self, principal: Principal, webhook_id: WebhookId) -> Webhook:
        tenant_id = require(principal, Action.MANAGE_WEBHOOKS)
        if not is_id(webhook_id, "webhook"):
            raise NotFound("webhook")
        return await self._webhooks.get(tenant_id, webhook_id)

    async def change(
        self,
        principal: Principal,
        webhook_id: WebhookId,
        *,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        is_on: bool | None = None,
    ) -> Webhook:
        """Change what is given; switched on again, it goes on where it was."""
        webhook = await self.get(principal, webhook_id)
        changed = webhook
        if url is not None:
            changed = replace(changed, url=parse_url(url, allow_http=self._allow_http))
        if events is not None:
            changed = replace(changed, events=tuple(event for event in WebhookEvent if event in events))
        if is_on is not None and is_on is not webhook.is_on:
            changed = changed.switch(on=is_on, now=self._clock.now())
        return await self._webhooks.save(changed, expected_revision=webhook.revision)

    async def replay(self, principal: Principal, webhook_id: WebhookId, *, after: str | None) -> Webhook:
        """
        Tell again what came behind a cursor of file events; None: everything that is kept.

        Raises:
            CursorTooOld: Events behind it are not kept any more.
        """
        webhook = await self.get(principal, webhook_id)
        position = await self._position(TenantId(webhook.tenant_id), after) if after is not None else 0
        replayed = webhook.replay(position, now=self._clock.now())
        return await self._webhooks.save(replayed, expected_revision=webhook.revision)

    async def remove(self, principal: Principal, webhook_id: WebhookId, *, client: str) -> None:
        webhook = await self.get(principal, webhook_id)
        entry = self._audit.entry(
            AuditAction.WEBHOOK_REMOVED,
            principal.user_id,
            tenant_id=webhook.tenant_id,
            subject_id=webhook_id,
            client=client,
        )
        await self._records.write(entry, Delete(WEBHOOKS, webhook.tenant_id, webhook_id))

    async def _position(self, tenant_id: TenantId, after: str | None) -> int:
        if after is None:
            newest = await self._events.list(tenant_id, order=_BY_NUMBER, page=PageRequest(limit=1, from_end=True))
            return newest.items[0].number if newest.items else 0
        position = decode_cursor(after, scope=event_scope(tenant_id)).value
        oldest = await self._events.list(tenant_id, order=_BY_NUMBER, page=PageRequest(limit=1))
        if not isinstance(position, int) or (oldest.items and oldest.items[0].number > position + 1):
            raise CursorTooOld
        return position
