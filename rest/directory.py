"""The directory over REST: everybody in it, and one more with an avatar."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from domain.errors import InvalidValue, LighterageError
from domain.picture import Picture
from domain.principal import Principal
from domain.profile import AVATAR_BYTES_MAX, Profile
from rest.callers import caller_of
from rest.documents import json_response
from rest.forms import FormBody
from rest.incoming import ClosingResponse, IncomingBody, OpenBody
from rest.multipart import boundary_of
from rest.operations import Access, Answer, Content, Operation, json_answer
from rest.problems import idle_response, problem_response
from rest.streaming import StreamResponse

_GROUP = "Directory"
_EXAMPLE = {
    "avatar_url": "https://my-bucket.s3.us-east-1.amazonaws.com/avatars/5f0c6d2e9b7a4c3f8e1d0a9b8c7d6e5f.webp",
    "email": "ada@example.org",
    "name": "Ada Lovelace",
}
_FORM = {
    "type": "object",
    "required": ["name", "email", "avatar"],
    "properties": {
        "name": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "avatar": {"type": "string", "contentMediaType": "image/*"},
    },
}


class ProfileDocument(TypedDict):
    avatar_url: str
    email: str
    name: str


class Directory(Protocol):
    async def list_profiles(self, principal: Principal) -> Sequence[Profile]: ...
    async def read_picture(self, principal: Principal, chunks: AsyncGenerator[bytes, None]) -> Picture: ...
    async def add(self, principal: Principal, *, name: str, email: str, picture: Picture) -> Profile: ...
    def open_avatar(self, name: str) -> AsyncGenerator[bytes, None]: ...


def directory_operations(directory: Directory, open_body: OpenBody) -> list[Operation]:
    """Make the operations."""

    async def list_users(request: Request) -> Response:
        return json_response([_document(one) for one in await directory.list_profiles(caller_of(request))])

    async def add_user(request: Request) -> Response:
        principal = caller_of(request)
        body = open_body(request.scope, request.receive)
        request_id = request.scope.get("lighterage.request_id")
        try:
            profile = await _add(directory, principal, body, request.headers.get("content-type", ""))
            answer = idle_response(request_id=request_id) if profile is None else json_response(_document(profile), 201)
        except LighterageError as error:
            answer = problem_response(error, request_id=request_id)
        except BaseException:
            body.close()
            raise
        return ClosingResponse(answer, body)

    async def avatar(request: Request) -> Response:
        chunks = directory.open_avatar(request.path_params["name"])
        headers = {
            "content-type": "image/webp",
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
        }
        return StreamResponse(_bytes(chunks), headers)

    return [
        Operation(
            "GET",
            "/users",
            "listUsers",
            "Everybody in the directory",
            _GROUP,
            list_users,
            (json_answer(200, "All of them.", list[ProfileDocument], [_EXAMPLE]),),
            access=Access.OPTIONAL,
            notes="Needs no log-in where `LIGHTERAGE_OPEN_USERS` is on; else it is the tenant's directory.",
            faults=("permission_denied",),
        ),
        Operation(
            "POST",
            "/user",
            "addUser",
            "Put somebody into the directory, with an avatar",
            _GROUP,
            add_user,
            (json_answer(201, "The profile.", ProfileDocument, _EXAMPLE),),
            access=Access.OPTIONAL,
            notes="The picture is made anew: at most 512 pixels wide or high, without what the camera wrote into it.",
            body=(Content("multipart/form-data", _FORM),),
            faults=("permission_denied", "conflict", "content_type_not_allowed", "images_unavailable", "store_full"),
        ),
        Operation(
            "GET",
            "/avatars/{name}",
            "getAvatar",
            "An avatar",
            _GROUP,
            avatar,
            (Answer(200, "A picture.", (Content("image/webp", {"type": "string", "format": "binary"}),)),),
            access=Access.ANYBODY,
        ),
    ]


async def _add(directory: Directory, principal: Principal, body: IncomingBody, content_type: str) -> Profile | None:
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise InvalidValue("send multipart/form-data with name, email and avatar", path=("Content-Type",))
    form = FormBody(body, boundary_of(content_type), file_field="avatar")
    if await form.find_file() is None:
        return None
    picture = await directory.read_picture(principal, _picture(form))
    if form.ended_by is None:  # the picture was whole before its bytes were
        async for _ in form.chunks(limit=AVATAR_BYTES_MAX):
            pass
    for field in ("name", "email"):
        if not form.fields.get(field, "").strip():
            raise InvalidValue(f"{field} is missing", path=(field,), reason="required")
    return await directory.add(principal, name=form.fields["name"], email=form.fields["email"], picture=picture)


async def _picture(form: FormBody) -> AsyncGenerator[bytes, None]:
    async for chunk in form.chunks(limit=AVATAR_BYTES_MAX):
        assert isinstance(chunk, bytes), "a form's bytes are seen"
        yield chunk


async def _bytes(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes | Mapping[str, str], None]:
    async for chunk in chunks:
        yield chunk


def _document(profile: Profile) -> Any:
    document: ProfileDocument = {"avatar_url": profile.avatar_url, "email": profile.email, "name": profile.name}
    return document
