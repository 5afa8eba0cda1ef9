"""Webhooks: addresses of the customer's that are told what happens to files, in order, by signed requests."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol
from urllib.parse import urlsplit

from domain.errors import InvalidValue
from domain.event import FileEventAction
from domain.ids import UserId, WebhookId
from domain.records import Kind

URL_LENGTH_MAX = 2048
SECRET_PREFIX = "whsec_"  # noqa: S105 (Standard Webhooks, "Signature scheme")
SECRET_BYTES = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # likewise
ERROR_LENGTH_MAX = 200
LEASE = timedelta(seconds=60)  # of whoever delivers; a request takes less
# After which failure in a row the next try comes; then the webhook is switched off. A little more than a day in all.
RETRY_AFTER = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200))


class WebhookEvent(Enum):
    """What can be told; named as clients see it."""

    COMPLETED = "file.completed"
    UPDATED = "file.updated"
    VERSION_ADDED = "file.version_added"
    STATUS_CHANGED = "file.status_changed"
    DELETED = "file.deleted"
    RESTORED = "file.restored"
    PURGED = "file.purged"


EVENT_OF = {
    FileEventAction.CREATED: WebhookEvent.COMPLETED,
    FileEventAction.UPDATED: WebhookEvent.UPDATED,
    FileEventAction.VERSION_ADDED: WebhookEvent.VERSION_ADDED,
    FileEventAction.STATUS_CHANGED: WebhookEvent.STATUS_CHANGED,
    FileEventAction.DELETED: WebhookEvent.DELETED,
    FileEventAction.RESTORED: WebhookEvent.RESTORED,
    FileEventAction.PURGED: WebhookEvent.PURGED,
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """
    Attributes:
        events: What it is told; empty: everything.
        sealed_secret: What requests are signed with, encrypted.
        position: Number of the last event that it was told, or passed over. What comes behind is still to be told.
        failures: Of the next event, in a row.
        due_at: When it may be tried next; None while it is switched off.
        error: How the last try failed.
    """

    id: WebhookId
    tenant_id: str
    url: str
    events: tuple[WebhookEvent, ...]
    sealed_secret: str
    created_by: UserId
    created_at: datetime
    position: int
    due_at: datetime | None
    failures: int = 0
    error: str | None = None
    delivered_at: datetime | None = None
    revision: int = 0

    @property
    def is_on(self) -> bool:
        return self.due_at is not None

    def wants(self, event: WebhookEvent) -> bool:
        return not self.events or event in self.events

    def take(self, *, now: datetime) -> "Webhook":
        """Keep others from it while its next event is delivered."""
        return replace(self, due_at=now + LEASE)

    def advance(self, position: int, *, now: datetime, told: bool) -> "Webhook":
        """Go on behind an event that was told, or that it does not want."""
        delivered_at = now if told else self.delivered_at
        return replace(self, position=position, due_at=now, failures=0, error=None, delivered_at=delivered_at)

    def fail(self, error: str, *, now: datetime) -> "Webhook":
        """Rest before the next try of the same event; too many of these switch it off."""
        is_last = self.failures >= len(RETRY_AFTER)
        due_at = None if is_last else now + RETRY_AFTER[self.failures]
        return replace(self, failures=self.failures + 1, error=error[:ERROR_LENGTH_MAX], due_at=due_at)

    def switch(self, *, on: bool, now: datetime) -> "Webhook":
        return replace(self, due_at=now if on else None, failures=0, error=None if on else self.error)

    def replay(self, position: int, *, now: datetime) -> "Webhook":
        """Tell everything again that came behind this event."""
        return replace(self, position=position, due_at=now, failures=0, error=None)


WEBHOOKS = Kind("webhooks", Webhook, fields=("created_at", "due_at"), indexes=(("created_at",), ("due_at",)))


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Give the bytes that sign, of a secret as it is shown."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def parse_secret(text: str) -> str:
    """Check a secret that a customer brings: `whsec_` and 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        if text.startswith(SECRET_PREFIX) and SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
            return text
    except (binascii.Error, ValueError):
        pass
    raise InvalidValue("a secret is whsec_ and 24 to 64 bytes in base64", path=("secret",))


def parse_url(text: str, *, allow_http: bool) -> str:
    """
    Check where a webhook is to go: an https address without a user in it.

    Where a name leads is looked at before each request, for that may change.
    """
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise InvalidValue("this is no address", path=("url",)) from None
    if len(text) > URL_LENGTH_MAX or re.search(r"[\s\x00-\x1f\x7f]", text) or not has_port or not parts.hostname:
        raise InvalidValue("this is no address", path=("url",))
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise InvalidValue("a webhook's address begins with https://", path=("url",))
    if parts.username is not None or parts.password is not None:
        raise InvalidValue("an address with a password in it would be shown to every admin", path=("url",))
    return text


# ---- on its way


class DeliveryFailed(Exception):
    """The request was not answered with success. The message is fit to be shown to the webhook's owner."""


class Courier(Protocol):
    async def post(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """
        Send one request and take the head of the answer.

        Raises:
            DeliveryFailed: The address leads where it must not, nothing answers, or not with 2xx.
        """
        ...
