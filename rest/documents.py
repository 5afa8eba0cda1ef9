"""What the REST face answers with: the shapes of its JSON documents, and how domain values become them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic cannot read that of Python 3.11

from domain.file import File, Visibility
from domain.ids import uuid_text_of
from domain.tenant import Limits, Usage
from domain.upload import Upload
from domain.user import User
from services.accounts import IssuedSession

NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
EXAMPLE_UUID = "019aab1c-54e0-7c5b-b5f1-9e0c8a2f6d11"


def json_response(content: object, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, {**NO_STORE, **named}, "application/json")


# ---- log-ins


class Tokens(TypedDict):
    """What a log-in hands out. A refresh token is good for one use."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class TokenPair(TypedDict):
    access: str
    refresh: str


class Account(TypedDict):
    id: str
    email: str | None
    username: str
    name: str | None
    created_at: datetime


class SignUpAnswer(TypedDict):
    """`user` is null where a letter was sent: then it is not told whether the address had an account."""

    user: Account | None
    verification_sent: bool


class Verified(TypedDict):
    verified: bool
    email: str | None


EXAMPLE_TOKENS: Tokens = {
    "access_token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyXzAx…",
    "refresh_token": "session_01kakc0f8sfxv8q7c3s3b2v4mn.Xb2…",
    "token_type": "Bearer",
    "expires_in": 900,
}
EXAMPLE_PAIR: TokenPair = {"access": EXAMPLE_TOKENS["access_token"], "refresh": EXAMPLE_TOKENS["refresh_token"]}
EXAMPLE_ACCOUNT = {
    "id": EXAMPLE_UUID,
    "email": "anna@example.org",
    "username": "anna@example.org",
    "name": None,
    "created_at": "2026-11-21T12:00:00Z",
}


def tokens_of(issued: IssuedSession) -> Tokens:
    return {
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
    }


def account_of(user: User) -> Account:
    return {
        "id": uuid_text_of(user.id),
        "email": user.email,
        "username": user.username,
        "name": user.name,
        "created_at": user.created_at,
    }


# ---- files


class FileDocument(TypedDict):
    """A file. `key` is what its object is called in the store, `content` where its bytes are."""

    id: str
    number: int
    name: str
    size: int
    content_type: str
    status: str
    visibility: str
    is_public: bool
    sha256: str | None
    etag: str
    key: str
    resource: str | None
    resource_id: str | None
    collection: str | None
    metadata: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None
    content: str


class FileList(TypedDict):
    """`count` is null where a cursor is used: nobody counts then."""

    count: int | None
    next: str | None
    previous: str | None
    results: list[FileDocument]


class FileUrl(TypedDict):
    url: str
    expires_in: int


EXAMPLE_FILE = {
    "id": EXAMPLE_UUID,
    "number": 2,
    "name": "sales 2026.csv",
    "size": 2048,
    "content_type": "text/csv",
    "status": "ready",
    "visibility": "private",
    "is_public": False,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "etag": "4b1f0c7e2a9d4d1c",
    "key": f"anna@example.org/{EXAMPLE_UUID}/sales_2026.csv",
    "resource": "product",
    "resource_id": "1",
    "collection": None,
    "metadata": {"season": "winter"},
    "version": 1,
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
    "expires_at": None,
    "deleted_at": None,
    "content": f"/api/v1/files/{EXAMPLE_UUID}/content",
}
EXAMPLE_LIST = {"count": 1, "next": None, "previous": None, "results": [EXAMPLE_FILE]}


def document_of(file: File) -> FileDocument:
    uuid, resource, visibility = uuid_text_of(file.id), file.resource, file.visibility
    return {
        "id": uuid,
        "number": file.number,
        "name": file.name,
        "size": file.size,
        "content_type": file.content_type,
        "status": file.status.value,
        "visibility": visibility.value,
        "is_public": visibility is Visibility.PUBLIC,
        "sha256": file.sha256,
        "etag": file.etag,
        "key": file.key,
        "resource": None if resource is None else resource.type,
        "resource_id": None if resource is None else resource.id,
        "collection": file.collection,
        "metadata": {entry.key: entry.value for entry in file.metadata} if file.metadata else {},
        "version": file.revision,
        "created_at": file.created_at,
        "updated_at": file.updated_at,
        "expires_at": file.expires_at,
        "deleted_at": file.deleted_at,
        "content": f"/api/v1/files/{uuid}/content",
    }


class NumberedFile(TypedDict):
    """A file under the number that it has in its tenant."""

    id: int
    uuid: str
    name: str
    location: str
    size: int
    content_type: str
    resource: str | None
    resource_id: str | None
    is_public: bool
    expires_at: datetime | None
    created_at: datetime


class NumberedList(TypedDict):
    count: int
    next: str | None
    previous: str | None
    results: list[NumberedFile]


EXAMPLE_NUMBERED = {
    "id": 2,
    "uuid": EXAMPLE_UUID,
    "name": "my_file",
    "location": f"john1/{EXAMPLE_UUID}/my_file",
    "size": 2048,
    "content_type": "text/plain",
    "resource": "product",
    "resource_id": "1",
    "is_public": False,
    "expires_at": None,
    "created_at": "2026-11-21T12:00:00Z",
}
EXAMPLE_NUMBERED_LIST = {"count": 1, "next": None, "previous": None, "results": [EXAMPLE_NUMBERED]}


def numbered_of(file: File) -> NumberedFile:
    return {
        "id": file.number,
        "uuid": uuid_text_of(file.id),
        "name": file.name,
        "location": file.key,
        "size": file.size,
        "content_type": file.content_type,
        "resource": file.resource_type,
        "resource_id": file.resource_id,
        "is_public": file.visibility is Visibility.PUBLIC,
        "expires_at": file.expires_at,
        "created_at": file.created_at,
    }


class MapDocument(TypedDict):
    """A map. Whoever knows its id may get it once it is processed."""

    id: str
    name: str
    size: int
    content_type: str
    status: str
    created_at: datetime


EXAMPLE_MAP = {
    "id": EXAMPLE_UUID,
    "name": "file.txt",
    "size": 12,
    "content_type": "text/plain",
    "status": "processing",
    "created_at": "2026-11-21T12:00:00Z",
}


def map_of(file: File) -> MapDocument:
    return {
        "id": uuid_text_of(file.id),
        "name": file.name,
        "size": file.size,
        "content_type": file.content_type,
        "status": file.status.value,
        "created_at": file.created_at,
    }


# ---- uploads, limits


class UploadDocument(TypedDict):
    """A transfer that is not finished: continue it at `url` with any tus client, from `offset` on."""

    id: str
    name: str
    content_type: str
    length: int | None
    offset: int
    status: str
    url: str
    fingerprint: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime


class UploadList(TypedDict):
    results: list[UploadDocument]


EXAMPLE_UPLOAD = {
    "id": "upload_5x8r3k0v9m2q7t4w1z6y3a8b5c",
    "name": "disk.img",
    "content_type": "application/octet-stream",
    "length": 4294967296,
    "offset": 1073741824,
    "status": "in_progress",
    "url": "https://files.example.org/files/upload_5x8r3k0v9m2q7t4w1z6y3a8b5c",
    "fingerprint": None,
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:05:00Z",
    "expires_at": "2026-11-28T12:05:00Z",
}


def upload_of(upload: Upload, *, url: str) -> UploadDocument:
    return {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.content_type,
        "length": upload.length,
        "offset": upload.offset,
        "status": upload.status.value,
        "url": url,
        "fingerprint": upload.fingerprint,
        "created_at": upload.created_at,
        "updated_at": upload.updated_at,
        "expires_at": upload.expires_at,
    }


class LimitsDocument(TypedDict):
    """
    What is taken. Null: no limit.

    `upload_url` is where resumable uploads go, which is the way for files that are too large for one request.
    """

    file_size_max: int
    json_bytes_max: int
    page_size_max: int
    upload_url: str
    tenant: dict[str, Any] | None


EXAMPLE_LIMITS = {
    "file_size_max": 9223372036854775807,
    "json_bytes_max": 1048576,
    "page_size_max": 100,
    "upload_url": "https://files.example.org/files/",
    "tenant": {
        "file_size_max": None,
        "stored_bytes_max": 1073741824,
        "content_types": None,
        "trash_retention_days": 30,
        "bytes_stored": 4096,
        "bytes_in_flight": 0,
        "file_count": 2,
    },
}


def tenant_limits_of(limits: Limits, usage: Usage) -> Mapping[str, Any]:
    return {
        "file_size_max": limits.file_size_max,
        "stored_bytes_max": limits.stored_bytes_max,
        "content_types": limits.content_types,
        "trash_retention_days": limits.trash_retention_days,
        "bytes_stored": usage.bytes_stored,
        "bytes_in_flight": usage.bytes_in_flight,
        "file_count": usage.file_count,
    }
