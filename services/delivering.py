"""
Telling webhooks: the file events of their tenant, in order, each until it is answered with 2xx.

An event is told at least once; its id is the same each time. What cannot be delivered holds up what comes behind it, is
tried again with growing rests, and in the end switches the webhook off: nothing is skipped, and where it is switched on
again, or set back to a cursor, it goes on there.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta

from auth.sealing import Sealer
from domain.clock import Clock
from domain.errors import Conflict, NotFound, TokenInvalid
from domain.event import FILE_EVENTS, FileEvent
from domain.file import FILES, File
from domain.ids import uuid_of
from domain.page import Order, PageRequest, Position, below
from domain.records import Records
from domain.webhook import EVENT_OF, WEBHOOKS, Courier, DeliveryFailed, Webhook, key_of

DUE_MAX = 100  # webhooks looked at in one round
EVENTS_MAX = 100  # told to one webhook in one round

_BY_NUMBER = Order("number")


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that tells an event."""

    headers: dict[str, str]
    body: bytes


class WebhookDelivery:
    def __init__(self, *, records: Records, sealer: Sealer, courier: Courier, clock: Clock) -> None:
        self._webhooks = records.collection(WEBHOOKS)
        self._events = records.collection(FILE_EVENTS)
        self._files = records.collection(FILES)
        self._sealer = sealer
        self._courier = courier
        self._clock = clock

    async def run_once(self) -> int:
        """Tell what is to be told now; says to how many webhooks. Several processes may do this at once."""
        due = below("due_at", self._clock.now() + timedelta(milliseconds=1))
        webhooks = await self._webhooks.scan([due], order=Order("due_at"), limit=DUE_MAX)
        return sum([await self._deliver_to(webhook) for webhook in webhooks])

    async def _deliver_to(self, webhook: Webhook) -> bool:
        events = await self._behind(webhook)
        if not events:
            return False
        try:
            held = await self._save(webhook.take(now=self._clock.now()))
            for event in events:
                held = await self._tell(held, event)
                if held.failures:
                    return True
            await self._save(held.advance(held.position, now=self._clock.now(), told=False))
        except (Conflict, NotFound):
            # Another process has it, or its owner changed it meanwhile: the next round sees what it is now.
            return False
        return True

    async def _behind(self, webhook: Webhook) -> list[FileEvent]:
        # Numbers are of one tenant, so a place is told by its number alone; "~" comes behind every id.
        page = PageRequest(limit=EVENTS_MAX, after=Position(webhook.position, "~"))
        return (await self._events.list(webhook.tenant_id, order=_BY_NUMBER, page=page)).items

    async def _tell(self, webhook: Webhook, event: FileEvent) -> Webhook:
        """Give the webhook as it is after; stored where a request was sent."""
        now = self._clock.now()
        if not webhook.wants(EVENT_OF[event.action]):
            return webhook.advance(event.number, now=now, told=False)
        try:
            request = await self._request(webhook, event)
            await self._courier.post(webhook.url, request.headers, request.body)
        except (DeliveryFailed, TokenInvalid) as error:
            return await self._save(webhook.fail(str(error), now=self._clock.now()))
        now = self._clock.now()
        return await self._save(webhook.advance(event.number, now=now, told=True).take(now=now))

    async def _save(self, webhook: Webhook) -> Webhook:
        return await self._webhooks.save(webhook, expected_revision=webhook.revision)

    async def _request(self, webhook: Webhook, event: FileEvent) -> Signed:
        file = (await self._files.get_many(event.tenant_id, [event.file_id])).get(event.file_id)
        content = {
            "type": EVENT_OF[event.action].value,
            "timestamp": event.at.isoformat(),
            "data": _facts(event, file),
        }
        body = json.dumps(content, separators=(",", ":")).encode()
        secret = self._sealer.open(webhook.sealed_secret, name=webhook.id)
        return sign(event.id, int(self._clock.now().timestamp()), body, secret=secret)


def sign(message_id: str, timestamp: int, body: bytes, *, secret: str) -> Signed:
    """Sign as Standard Webhooks says: HMAC-SHA256 over `id.timestamp.body`."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)).decode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Lighterage",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
    return Signed(headers, body)


def _facts(event: FileEvent, file: File | None) -> dict[str, object]:
    """Say of which file it is, and how that is now; of one that is gone there is its id alone."""
    facts: dict[str, object] = {"id": event.file_id, "uuid": str(uuid_of(event.file_id))}
    if file is None:
        return facts
    return facts | {
        "name": file.name,
        "size": file.size,
        "content_type": file.content_type,
        "sha256": file.sha256,
        "status": file.status.value,
        "collection": file.collection,
        "resource": {"type": file.resource.type, "id": file.resource.id} if file.resource else None,
        "created_at": file.created_at.isoformat(),
    }
