"""Ids as clients send them: what has not the form of an id is a thing that does not exist, and reaches no store."""

from collections.abc import Sequence

from domain.errors import InvalidValue, NotFound
from domain.ids import ApiKeyId, FileId, FileVersionId, ShareLinkId, TenantId, UploadId, UserId, is_id
from domain.principal import Principal

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


def parse_version_id(text: str) -> FileVersionId:
    return FileVersionId(_parse(text, "version"))


def parse_share_link_id(text: str) -> ShareLinkId:
    return ShareLinkId(_parse(text, "link"))


def known_file_ids(texts: Sequence[str]) -> list[FileId]:
    """Keep what can be a file's id: a filter by anything else matches nothing."""
    return [FileId(text) for text in texts if is_id(text, "file")]


def known_user_ids(texts: Sequence[str]) -> list[UserId]:
    return [UserId(text) for text in texts if is_id(text, "user")]


def check_tenant(principal: Principal, tenant_id: str | None) -> None:
    """Raise NotFound for any tenant but the one that the caller's token is for."""
    if tenant_id is not None and not principal.is_guest and parse_tenant_id(tenant_id) != principal.tenant_id:
        raise NotFound("tenant")


def check_count(ids: Sequence[object], *, name: str) -> None:
    """Raise InvalidValue for more ids than one call may name."""
    if len(ids) > IDS_MAX:
        raise InvalidValue(f"at most {IDS_MAX} ids at once", path=(name,), reason="too_long")


def _parse(text: str, kind: str) -> str:
    if not is_id(text, kind):
        raise NotFound(kind)
    return text
