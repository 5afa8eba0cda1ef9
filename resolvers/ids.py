"""Ids as clients send them: what has not the form of an id is a thing that does not exist, and reaches no store."""

from collections.abc import Sequence

from domain.errors import InvalidValue, NotFound
from domain.ids import ApiKeyId, FileId, ShareLinkId, TenantId, UploadId, UserId, is_id

IDS_MAX = 100  # in one field or mutation


def parse_tenant_id(text: str) -> TenantId:
    return TenantId(_parse(text, "tenant"))


def parse_file_id(text: str) -> FileId:
    return FileId(_parse(text, "file"))


def parse_upload_id(text: str) -> UploadId:
    return UploadId(_parse(text, "upload"))


def parse_user_id(text: str) -> UserId:
    return UserId(_parse(text, "user"))


def parse_api_key_id(text: str) -> ApiKeyId:
    return ApiKeyId(_parse(text, "apikey"))


def parse_share_link_id(text: str) -> ShareLinkId:
    return ShareLinkId(_parse(text, "link"))


def known_file_ids(texts: Sequence[str]) -> list[FileId]:
    """Keep what can be a file's id: a filter by anything else matches nothing."""
    return [FileId(text) for text in texts if is_id(text, "file")]


def known_user_ids(texts: Sequence[str]) -> list[UserId]:
    return [UserId(text) for text in texts if is_id(text, "user")]


def check_count(ids: Sequence[object], *, name: str) -> None:
    """Raise InvalidValue for more ids than one call may name."""
    if len(ids) > IDS_MAX:
        raise InvalidValue(f"at most {IDS_MAX} ids at once", path=(name,), reason="too_long")


def _parse(text: str, kind: str) -> str:
    if not is_id(text, kind):
        raise NotFound(kind)
    return text
