"""
Identifiers: a type's prefix and 128 bits in Crockford's base 32, as in `file_01kakc0f8sfxv8q7c3s3b2v4mn`.

The form is TypeID's. Everything but an upload carries a UUIDv7, so ids sort by creation; an upload's id is
wholly random, because who knows it holds half of what is needed to write to it.
"""

import re
import secrets
from datetime import datetime
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
FileId = NewType("FileId", str)
UploadId = NewType("UploadId", str)
SessionId = NewType("SessionId", str)
ApiKeyId = NewType("ApiKeyId", str)
EventId = NewType("EventId", str)
ShareLinkId = NewType("ShareLinkId", str)
FileVersionId = NewType("FileVersionId", str)
JobId = NewType("JobId", str)
WebhookId = NewType("WebhookId", str)

# Things that belong to no single tenant (users, sessions, signing keys) are kept under this one.
SYSTEM = TenantId("system")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(r"([a-z]{1,16})_([0-7][0-9a-hjkmnp-tv-z]{25})", re.ASCII)
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]  # two characters at once, by their 10 bits
_AS_PYTHON_WRITES = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_RANDOM_BITS = 74  # UUIDv7: 128 bits less 48 of time, 4 of version and 2 of variant


def _encode(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def _decode(text: str) -> int:
    return int(text.translate(_AS_PYTHON_WRITES), 32)


def _uuid7(now: datetime) -> int:
    milliseconds = int(now.timestamp() * 1000)
    random = secrets.randbits(_RANDOM_BITS)
    return milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (2**62 - 1)


def new_tenant_id(now: datetime) -> TenantId:
    return TenantId("tenant_" + _encode(_uuid7(now)))


def new_user_id(now: datetime) -> UserId:
    return UserId("user_" + _encode(_uuid7(now)))


def new_file_id(now: datetime) -> FileId:
    return FileId("file_" + _encode(_uuid7(now)))


def new_session_id(now: datetime) -> SessionId:
    return SessionId("session_" + _encode(_uuid7(now)))


def new_event_id(now: datetime) -> EventId:
    return EventId("event_" + _encode(_uuid7(now)))


def new_audit_id(now: datetime) -> str:
    return "audit_" + _encode(_uuid7(now))


def new_webhook_id(now: datetime) -> WebhookId:
    return WebhookId("webhook_" + _encode(_uuid7(now)))


def new_api_key_id(now: datetime) -> ApiKeyId:
    return ApiKeyId("apikey_" + _encode(_uuid7(now)))


def new_share_link_id(now: datetime) -> ShareLinkId:
    return ShareLinkId("link_" + _encode(_uuid7(now)))


def new_version_id(now: datetime) -> FileVersionId:
    return FileVersionId("version_" + _encode(_uuid7(now)))


def first_version_id(file_id: FileId) -> FileVersionId:
    """Name the content that a file began with: whoever has the file's id has it."""
    return FileVersionId("version_" + file_id.rpartition("_")[2])


def new_upload_id() -> UploadId:
    return UploadId("upload_" + _encode(secrets.randbits(128)))


def encode_id(prefix: str, number: int) -> str:
    """Write an id whose 128 bits are given."""
    return f"{prefix}_{_encode(number)}"


def is_id(text: str, prefix: str) -> bool:
    """Tell whether `text` has the form of an id of this type; nothing else may reach a store as a key."""
    match = _PATTERN.fullmatch(text)
    return match is not None and match[1] == prefix


def uuid_of(identifier: str) -> UUID:
    """Give the same 128 bits in the form that REST clients know."""
    return UUID(int=_decode(identifier.rpartition("_")[2]))


def uuid_text_of(identifier: str) -> str:
    """Write that UUID, for lists of many: a UUID object would cost more than all the rest of one."""
    digits = f"{_decode(identifier.rpartition('_')[2]):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_of_uuid(prefix: str, uuid: UUID) -> str:
    """Give the id that `uuid_of` was made from."""
    return encode_id(prefix, uuid.int)
