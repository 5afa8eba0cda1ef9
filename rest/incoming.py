"""
Files that come in one request: a form, or the bytes themselves. What they say of themselves, and how they are stored.

The bytes go from the connection to the store as they come; nothing is spooled.
"""

import re
from collections.abc import Callable
from typing import Annotated, Protocol
from urllib.parse import unquote

from pydantic import Field, Json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.content import parse_media_type
from domain.errors import InvalidValue, LighterageError
from domain.file import File, Resource, Visibility, parse_metadata, parse_name, parse_resource
from domain.job import parse_collection
from domain.metadata import parse_sha256
from domain.principal import Principal
from domain.upload import Body, BodyEnd, NewUpload
from rest.callers import principal_of
from rest.forms import FormBody
from rest.multipart import PartBegin, boundary_of
from rest.operations import Content, Given
from rest.parsing import Moment, read_fields
from rest.problems import idle_response, problem_response

DRAIN_BYTES_MAX = 256 << 10  # read and thrown away after a refusal, so that a client still sending sees the answer
DRAIN_SECONDS = 2.0
IDEMPOTENCY_KEY_LENGTH_MAX = 200
UNNAMED = "unnamed"
_FILENAME = re.compile(r"""filename\*\s*=\s*UTF-8''([^;]+)|filename\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]+)""", re.IGNORECASE)


class IncomingBody(Body, Protocol):
    """The body of a request, from the server. `length`: what its head promised, None where it did not."""

    length: int | None
    is_connected: bool

    async def drain(self, limit: int, *, timeout_seconds: float) -> None: ...
    def close(self) -> None: ...


OpenBody = Callable[[Scope, Receive], IncomingBody]


class Posting(Protocol):
    async def post(
        self,
        principal: Principal,
        new: NewUpload,
        body: Body,
        *,
        body_length: int | None = None,
        late: Callable[[], NewUpload] | None = None,
    ) -> File | None: ...


class FileFields(Given):
    """What a client may say of a file that it sends, in fields of the form or in the query string."""

    name: Annotated[str | None, Field(description="Instead of the name that the file came with.")] = None
    visibility: Annotated[
        Visibility | None, Field(description="Who may read it besides you; `private` by default.")
    ] = None
    is_public: Annotated[bool | None, Field(description="The same as `visibility=public`.")] = None
    resource: Annotated[str | None, Field(description="Kind of thing in your own system.", examples=["product"])] = None
    resource_id: Annotated[str | None, Field(description="Which of them.", examples=["1"])] = None
    metadata: Annotated[Json[dict[str, str]] | None, Field(description="A JSON object of texts.")] = None
    expires_at: Annotated[Moment | None, Field(description="When it is to be gone.")] = None
    collection: Annotated[str | None, Field(description="Kind of files; rules of processing go by it.")] = None
    sha256: Annotated[str | None, Field(description="Of all its bytes, in hex; others are refused.")] = None


def form_content(fields: type[Given] = FileFields) -> Content:
    """Describe a form with a file, and with these fields."""
    schema = fields.model_json_schema()
    properties = {name: _plain(one) for name, one in schema["properties"].items()}
    if "metadata" in properties:
        properties["metadata"] = {"type": "string", "description": "A JSON object of texts."}
    properties = {"file": {"type": "string", "contentMediaType": "application/octet-stream"}, **properties}
    return Content("multipart/form-data", {"type": "object", "required": ["file"], "properties": properties})


def _plain(schema: dict[str, object]) -> dict[str, object]:
    kept = {key: value for key, value in schema.items() if key in ("description", "type", "format")}
    choices = schema.get("anyOf")
    first = choices[0] if isinstance(choices, list) else {}
    if "$ref" in first:
        return {**kept, "type": "string", "enum": [one.value for one in Visibility]}
    return {**kept, **{key: value for key, value in first.items() if key in ("type", "format", "enum")}}


RAW_CONTENT = Content("application/octet-stream", {"type": "string", "format": "binary"})

Described = Callable[[FileFields], FileFields]


class Receiver:
    """Takes files out of requests. `describe`: what this door says of a file besides the client."""

    def __init__(self, posting: Posting, open_body: OpenBody) -> None:
        self._posting = posting
        self._open_body = open_body

    async def receive(
        self,
        request: Request,
        answer: Callable[[File], Response],
        *,
        describe: Described = lambda fields: fields,
        takes_raw: bool = False,
    ) -> Response:
        """
        Store the file of a request and answer with it; see to it that a client still sending hears of a refusal.

        Raises:
            LighterageError: The caller may not, which is told before any byte is read.
        """
        principal = principal_of(request)
        body = self._open_body(request.scope, request.receive)
        try:
            response = await self._answer(request, principal, body, answer, describe, takes_raw)
        except BaseException:
            body.close()
            raise
        return ClosingResponse(response, body)

    async def _answer(
        self,
        request: Request,
        principal: Principal,
        body: IncomingBody,
        answer: Callable[[File], Response],
        describe: Described,
        takes_raw: bool,
    ) -> Response:
        request_id = request.scope.get("lighterage.request_id")
        try:
            file = await self._store(request, principal, body, describe, takes_raw)
        except LighterageError as error:
            return problem_response(error, request_id=request_id)
        if file is not None:
            return answer(file)
        # Whoever is gone hears nothing of it.
        return idle_response(request_id=request_id)

    async def _store(
        self, request: Request, principal: Principal, body: IncomingBody, describe: Described, takes_raw: bool
    ) -> File | None:
        content_type = request.headers.get("content-type", "")
        key = _idempotency_key(request)
        if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
            return await self._store_form(principal, body, boundary_of(content_type), describe, key)
        if not takes_raw:
            raise InvalidValue("send multipart/form-data with the file as the part 'file'", path=("Content-Type",))
        fields = describe(read_fields(dict(request.query_params), FileFields))
        name = fields.name or _filename_of(request.headers.get("content-disposition", "")) or UNNAMED
        new = _new_upload(fields, name=name, content_type=content_type, length=body.length, key=key)
        return await self._posting.post(principal, new, body, body_length=body.length)

    async def _store_form(
        self, principal: Principal, body: IncomingBody, boundary: bytes, describe: Described, key: str | None
    ) -> File | None:
        form = FormBody(body, boundary, file_field="file")
        part = await form.find_file()
        if part is None:
            return None
        begun: PartBegin = part

        def new() -> NewUpload:
            fields = describe(read_fields(form.fields, FileFields))
            name = fields.name or (UNNAMED if begun.filename is None else begun.filename)
            return _new_upload(fields, name=name, content_type=begun.content_type, length=None, key=key)

        return await self._posting.post(principal, new(), form, late=new)


def _new_upload(
    fields: FileFields, *, name: str, content_type: str | None, length: int | None, key: str | None
) -> NewUpload:
    visibility = fields.visibility or (Visibility.PUBLIC if fields.is_public else Visibility.PRIVATE)
    return NewUpload(
        name=parse_name(name),
        length=length,
        content_type=parse_media_type(content_type),
        metadata=parse_metadata(list((fields.metadata or {}).items())),
        visibility=visibility,
        resource=resource_of(fields.resource, fields.resource_id),
        sha256=parse_sha256(fields.sha256) if fields.sha256 else None,
        file_expires_at=fields.expires_at,
        idempotency_key=key,
        collection=parse_collection(fields.collection) if fields.collection else None,
    )


def resource_of(resource: str | None, resource_id: str | None) -> Resource | None:
    """Read the two halves of a resource's name, which go together."""
    if resource is None and resource_id is None:
        return None
    if resource is None or resource_id is None:
        missing = "resource" if resource is None else "resource_id"
        raise InvalidValue("resource and resource_id go together", path=(missing,), reason="required")
    return parse_resource(resource, resource_id)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
        message = f"an idempotency key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters"
        raise InvalidValue(message, path=("Idempotency-Key",), reason="too_long")
    return None if key is None else f"rest {key}"


def _filename_of(disposition: str) -> str | None:
    match = _FILENAME.search(disposition)
    if match is None:
        return None
    if match[1] is not None:
        return unquote(match[1])
    return match[2].strip('"').replace('\\"', '"')


class ClosingResponse(Response):
    """An answer to a request whose body may not be read to its end: then the connection has to close behind it."""

    def __init__(self, response: Response, body: IncomingBody) -> None:
        super().__init__()
        self.status_code = response.status_code
        self.raw_headers = response.raw_headers
        self.body = response.body
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self._body
        try:
            if not body.is_connected:
                return
            is_whole = body.ended_by is BodyEnd.COMPLETE
            if not is_whole:
                self.headers["connection"] = "close"
            is_expecting = any(name == b"expect" for name, _ in scope["headers"]) and body.received == 0
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            content = bytes(self.body)
            if body.ended_by is None and not is_expecting:
                # Closing on a client that is still sending would reset the connection, and the answer with it.
                await send({"type": "http.response.body", "body": content, "more_body": True})
                content = b""
                await body.drain(DRAIN_BYTES_MAX, timeout_seconds=DRAIN_SECONDS)
            await send({"type": "http.response.body", "body": content})
        finally:
            body.close()
