"""Webhooks over REST."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic cannot read that of Python 3.11

from domain.errors import InvalidValue
from domain.ids import WebhookId
from domain.principal import Principal
from domain.webhook import URL_LENGTH_MAX, Webhook, WebhookEvent
from rest.callers import client_of, principal_of
from rest.documents import NO_STORE, json_response
from rest.operations import Answer, GivenJson, Operation, json_answer, json_body
from rest.parsing import read_model

Url = Annotated[str, Field(max_length=URL_LENGTH_MAX, description="Where requests go: `https://…`, a public address.")]
Events = Annotated[list[str], Field(max_length=32, description="What is told, as `file.completed`; empty: everything.")]
Cursor = Annotated[str | None, Field(max_length=2048, description="Tell what came behind this cursor of file events.")]


class CreateGiven(GivenJson):
    url: Url
    events: Events = []
    secret: Annotated[str | None, Field(max_length=128, description="`whsec_…`; not given: one is made.")] = None
    after: Cursor = None


class ChangeGiven(GivenJson):
    url: Url | None = None
    events: Events | None = None
    enabled: Annotated[bool | None, Field(description="On: go on where it was. Off: tell nothing.")] = None


class ReplayGiven(GivenJson):
    after: Cursor = None


class WebhookDocument(TypedDict):
    """`error`: how the last try failed; `failures`: of the same event, in a row."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    failures: int
    error: str | None
    next_try_at: datetime | None
    delivered_at: datetime | None
    created_at: datetime


class NewWebhook(WebhookDocument):
    """`secret` is shown this once."""

    secret: str


class WebhookList(TypedDict):
    results: list[WebhookDocument]


class Webhooks(Protocol):
    async def create(
        self,
        principal: Principal,
        *,
        url: str,
        events: Sequence[WebhookEvent],
        secret: str | None,
        after: str | None,
        client: str,
    ) -> tuple[Webhook, str]: ...
    async def list_all(self, principal: Principal) -> list[Webhook]: ...
    async def get(self, principal: Principal, webhook_id: WebhookId) -> Webhook: ...
    async def change(
        self,
        principal: Principal,
        webhook_id: WebhookId,
        *,
        url: str | None,
        events: Sequence[WebhookEvent] | None,
        is_on: bool | None,
    ) -> Webhook: ...
    async def replay(self, principal: Principal, webhook_id: WebhookId, *, after: str | None) -> Webhook: ...
    async def remove(self, principal: Principal, webhook_id: WebhookId, *, client: str) -> None: ...


_EXAMPLE: Any = {
    "id": "webhook_01kakc0f8sfxv8q7c3s3b2v4mn",
    "url": "https://example.org/hooks/files",
    "events": ["file.completed"],
    "enabled": True,
    "failures": 0,
    "error": None,
    "next_try_at": None,
    "delivered_at": "2026-11-21T12:00:00Z",
    "created_at": "2026-11-21T11:00:00Z",
}
_ONE = "/api/v1/webhooks/{id}"


def webhook_operations(webhooks: Webhooks) -> list[Operation]:
    """Make the operations; they are for admins of the tenant."""

    async def create(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, CreateGiven)
        webhook, secret = await webhooks.create(
            principal,
            url=given.url,
            events=_events(given.events),
            secret=given.secret,
            after=given.after,
            client=client_of(request),
        )
        answer: NewWebhook = {**_document(webhook), "secret": secret}
        return json_response(answer, 201, location=f"/api/v1/webhooks/{webhook.id}")

    async def list_all(request: Request) -> Response:
        answer: WebhookList = {"results": [_document(one) for one in await webhooks.list_all(principal_of(request))]}
        return json_response(answer)

    async def get(request: Request) -> Response:
        return json_response(_document(await webhooks.get(principal_of(request), _id(request))))

    async def change(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, ChangeGiven)
        events = None if given.events is None else _events(given.events)
        changed = await webhooks.change(principal, _id(request), url=given.url, events=events, is_on=given.enabled)
        return json_response(_document(changed))

    async def replay(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, ReplayGiven)
        return json_response(_document(await webhooks.replay(principal, _id(request), after=given.after)))

    async def remove(request: Request) -> Response:
        await webhooks.remove(principal_of(request), _id(request), client=client_of(request))
        return Response(status_code=204, headers=NO_STORE)

    one = json_answer(200, "The webhook as it is now.", WebhookDocument, _EXAMPLE)
    made = json_answer(
        201,
        "The webhook, and its secret this once.",
        NewWebhook,
        {**_EXAMPLE, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
        Location="Its address.",
    )
    rights = ("permission_denied",)
    found = ("conflict", "not_found", *rights)
    cursors = ("cursor_invalid", "cursor_too_old")
    new = json_body(CreateGiven, usual={"url": _EXAMPLE["url"], "events": ["file.completed"]})
    changes = json_body(ChangeGiven, usual={"enabled": True})
    again = json_body(ReplayGiven, usual={"after": "WyJGNHpY…"})
    listed = json_answer(200, "All of them, oldest first.", WebhookList, {"results": [_EXAMPLE]})
    path = "/api/v1/webhooks"
    return [
        Operation("GET", path, "listWebhooks", "The tenant's webhooks", "Webhooks", list_all, (listed,), faults=rights),
        Operation(
            "POST",
            path,
            "createWebhook",
            "Have an address told what happens to files",
            "Webhooks",
            create,
            (made,),
            body=new,
            faults=(*rights, *cursors),
            notes="Requests are signed as Standard Webhooks says; docs/reference/webhooks.md tells how to check them.",
        ),
        Operation(
            "GET",
            _ONE,
            "getWebhook",
            "One webhook",
            "Webhooks",
            get,
            (one,),
            faults=("not_found", *rights),
        ),
        Operation(
            "PATCH",
            _ONE,
            "updateWebhook",
            "Change a webhook, or switch it on again",
            "Webhooks",
            change,
            (one,),
            body=changes,
            faults=found,
        ),
        Operation(
            "POST",
            f"{_ONE}/replay",
            "replayWebhook",
            "Tell again what came behind a cursor",
            "Webhooks",
            replay,
            (one,),
            body=again,
            faults=(*found, *cursors),
            notes="Without `after`: everything that is kept, `LIGHTERAGE_EVENT_DAYS` days.",
        ),
        Operation(
            "DELETE",
            _ONE,
            "removeWebhook",
            "Remove a webhook",
            "Webhooks",
            remove,
            (Answer(204, "It is gone."),),
            faults=("not_found", *rights),
        ),
    ]


def _id(request: Request) -> WebhookId:
    return WebhookId(request.path_params["id"])


def _events(names: Sequence[str]) -> list[WebhookEvent]:
    known = {event.value: event for event in WebhookEvent}
    for place, name in enumerate(names):
        if name not in known:
            message = f"events may be {', '.join(known)}"
            raise InvalidValue(message, path=("events", str(place)))
    return [known[name] for name in names]


def _document(webhook: Webhook) -> WebhookDocument:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": [event.value for event in webhook.events],
        "enabled": webhook.is_on,
        "failures": webhook.failures,
        "error": webhook.error,
        "next_try_at": webhook.due_at if webhook.failures else None,
        "delivered_at": webhook.delivered_at,
        "created_at": webhook.created_at,
    }
