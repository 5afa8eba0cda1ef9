"""Which files a client wants, in the words of the service."""

from domain.file import FileStatus as FileStatusRecord
from domain.file import Visibility, parse_metadata
from resolvers.ids import known_user_ids, parse_tenant_id
from schema.enums import FileStatus, OrderDirection
from schema.files import BigIntFilter, DateTimeFilter, FileFilter, FileOrder, StringFilter
from services.files import FileOrder as FileOrderRecord
from services.files import FileOrderField as FileOrderFieldRecord
from services.files import FileQuery


def file_query(tenant_id: str | None, filter: FileFilter | None, order_by: FileOrder | None) -> FileQuery:
    """Put the operators of the API into the words of the service."""
    wanted = filter or FileFilter()
    name, media = wanted.name or StringFilter(), wanted.content_type or StringFilter()
    size, resource = wanted.size or BigIntFilter(), wanted.resource
    created, expires = wanted.created_at or DateTimeFilter(), wanted.expires_at or DateTimeFilter()
    statuses, deleted = _standing(wanted)
    return FileQuery(
        tenant_id=None if tenant_id is None else parse_tenant_id(tenant_id),
        search=wanted.search,
        name_eq=name.eq,
        name_in=_tuple(name.in_),
        name_prefix=name.starts_with,
        content_type_eq=media.eq,
        content_type_in=_tuple(media.in_),
        content_type_prefix=media.starts_with,
        statuses=statuses,
        visibilities=None if wanted.visibility is None else tuple(Visibility(item.value) for item in wanted.visibility),
        resource_type=None if resource is None else resource.type,
        resource_ids=None if resource is None else _tuple(resource.ids),
        uploaded_by=None if wanted.uploaded_by is None else tuple(known_user_ids(wanted.uploaded_by)),
        size_min=size.gte,
        size_max=size.lte,
        created_from=created.gte,
        created_before=created.lt,
        expires_from=expires.gte,
        expires_before=expires.lt,
        sha256=wanted.sha256,
        metadata=parse_metadata([(entry.key, entry.value) for entry in wanted.metadata or ()]),
        deleted=deleted,
        order=_order(order_by),
    )


def _standing(wanted: FileFilter) -> tuple[tuple[FileStatusRecord, ...] | None, bool]:
    """
    Tell which states are wanted, and whether in the trash: there every file is DELETED, whatever it was before.

    UPLOADING is no state of a file.
    """
    if wanted.status is None:
        return None, bool(wanted.deleted)
    is_trash = bool(wanted.deleted) or wanted.status == [FileStatus.DELETED]
    if is_trash:
        return (None if FileStatus.DELETED in wanted.status else ()), True
    kept = {FileStatus.DELETED, FileStatus.UPLOADING}
    return tuple(FileStatusRecord(item.value) for item in wanted.status if item not in kept), False


def _order(order_by: FileOrder | None) -> FileOrderRecord:
    if order_by is None:
        return FileOrderRecord(FileOrderFieldRecord.CREATED_AT, descending=True)
    # By name: the two enums have the same members, which a test holds.
    return FileOrderRecord(
        FileOrderFieldRecord[order_by.field.name], descending=order_by.direction is OrderDirection.DESC
    )


def _tuple(texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)
