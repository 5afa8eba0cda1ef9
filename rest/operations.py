"""
What an operation of the REST face is: its address, what it takes, every answer that it may give, and who may ask.

A list of these is all that there is: the routes and the OpenAPI document are both made of it, so that nothing is
served that is not documented.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Given(BaseModel):
    """What a client sends in a query string: text that becomes values."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class GivenJson(BaseModel):
    """What a client sends as a JSON object: nothing is guessed, and no unknown field passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Access(Enum):
    """Who may ask."""

    ANYBODY = "anybody"
    OPTIONAL = "optional"  # more for whoever is logged in
    LOG_IN = "log-in"


@dataclass(frozen=True, slots=True)
class Content:
    """
    A body in one media type.

    Attributes:
        shape: A model or TypedDict whose schema it has, or the schema itself.
        examples: By what each shows.
    """

    media_type: str
    shape: type[Any] | Mapping[str, Any] | Any
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which an operation succeeds. `headers`: name to what it says."""

    status: int
    description: str
    contents: tuple[Content, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One method at one address.

    Attributes:
        path: As a router takes it, `{name}` or `{name:int}` for what varies.
        id: Its name in generated clients and in the Postman collection.
        group: Heading that it stands under.
        notes: What a reader should know besides, as CommonMark.
        query: Model of the query string.
        body: The media types of the body that are taken; more than one where the client may choose.
        answers: How it succeeds; the first is the usual one.
        faults: Codes of the errors that it may give, besides those that come of `access` and `body`.
        aliases: Other spellings of the path, served the same and not documented twice.
    """

    method: str
    path: str
    id: str
    summary: str
    group: str
    endpoint: Endpoint
    answers: tuple[Answer, ...]
    access: Access = Access.LOG_IN
    notes: str = ""
    query: type[Given] | None = None
    header_fields: Mapping[str, str] = field(default_factory=dict)
    body: tuple[Content, ...] = ()
    faults: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def json_answer(status: int, description: str, shape: Any, example: Any, **headers: str) -> Answer:
    """An answer that is one JSON document."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, description, (Content("application/json", shape, {"usual": example}),), named)


def json_body(shape: type[GivenJson] | Mapping[str, Any], **examples: Any) -> tuple[Content, ...]:
    return (Content("application/json", shape, examples),)


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """Make one route of each address, so that a wrong method is told every right one."""
    spelled = [(path, one) for one in operations for path in (one.path, *one.aliases)]
    order = {path: place for place, (path, _) in reversed(list(enumerate(spelled)))}
    spelled.sort(key=lambda pair: order[pair[0]])
    return [_route(path, [one for _, one in group]) for path, group in groupby(spelled, key=lambda pair: pair[0])]


def _route(path: str, operations: Sequence[Operation]) -> Route:
    endpoints = {one.method: one.endpoint for one in operations}
    if "GET" in endpoints:
        endpoints.setdefault("HEAD", endpoints["GET"])

    async def dispatch(request: Request) -> Response:
        return await endpoints[request.method](request)

    return Route(path, dispatch, methods=list(endpoints))
