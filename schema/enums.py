"""
The enums of the API. Their values are those of the domain, so that one turns into the other by value.

An enum is kept apart from the domain's: a new state inside must not become visible to clients by itself.
"""

from enum import Enum

import strawberry
from strawberry import enum_value


@strawberry.enum(description="Direction of an order.")
class OrderDirection(Enum):
    ASC = enum_value("asc", description="Smallest, earliest or first by letter first.")
    DESC = enum_value("desc", description="Largest, latest or last by letter first.")


@strawberry.enum(description="What a member may do in a tenant, from most to least.")
class TenantRole(Enum):
    OWNER = enum_value("owner", description="Everything, and the tenant itself.")
    ADMIN = enum_value("admin", description="Everything in the tenant, other members' private files included.")
    MEMBER = enum_value("member", description="Uploads, and changes their own files.")
    VIEWER = enum_value("viewer", description="Reads.")


@strawberry.enum(description="What a token lets its bearer do, within what the role allows.")
class Scope(Enum):
    FILES_READ = enum_value("files:read", description="List and download files.")
    FILES_WRITE = enum_value("files:write", description="Upload, change, delete and restore files.")
    FILES_SHARE = enum_value("files:share", description="Make and revoke links for guests.")
    FILES_QUERY = enum_value("files:query", description="Run SQL over files.")
    TENANT_ADMIN = enum_value("tenant:admin", description="Manage the tenant.")


@strawberry.enum(description="Who may read a file besides its uploader and the tenant's admins.")
class FileVisibility(Enum):
    PRIVATE = enum_value("private", description="Nobody else.")
    TENANT = enum_value("tenant", description="Every member of the tenant.")
    LINK = enum_value("link", description="Whoever was given a link.")
    PUBLIC = enum_value("public", description="Anyone who has the URL.")


@strawberry.enum(description="Where a file stands.")
class FileStatus(Enum):
    PROCESSING = enum_value("processing", description="Stored; a step that must come before reading is under way.")
    READY = enum_value("ready", description="Can be read.")
    FAILED = enum_value("failed", description="Processing failed.")
    QUARANTINED = enum_value("quarantined", description="Kept from readers by a check.")
    UPLOADING = enum_value(
        "uploading", description="Its bytes are still coming. No file yet: see `uploads`. No file stands here."
    )
    DELETED = enum_value("deleted", description="In the trash.")


@strawberry.enum(description="Where a transfer stands.")
class UploadStatus(Enum):
    CREATED = enum_value("created", description="No byte has come yet.")
    IN_PROGRESS = enum_value("in_progress", description="Bytes have come; more may follow.")
    COMPLETED = enum_value("completed", description="All bytes are stored and the file is there.")
    ABORTED = enum_value("aborted", description="Dropped by the client.")
    EXPIRED = enum_value("expired", description="Not finished in time, and dropped.")
    FAILED = enum_value("failed", description="The bytes did not become a file.")


@strawberry.enum(description="Where a job stands.")
class JobStatus(Enum):
    QUEUED = enum_value("queued", description="It waits, for the first time or to be tried again.")
    RUNNING = enum_value("running", description="Somebody works on it.")
    SUCCEEDED = enum_value("succeeded", description="It is done.")
    FAILED = enum_value("failed", description="It was tried often enough, or cannot be done.")
    CANCELLED = enum_value("cancelled", description="Its file went away.")


@strawberry.enum(description="What files can be ordered by.")
class FileOrderField(Enum):
    CREATED_AT = enum_value("created_at", description="When it was uploaded.")
    UPDATED_AT = enum_value("updated_at", description="When it was last changed.")
    NAME = enum_value("name", description="By name, without regard to case.")
    SIZE = enum_value("size", description="By size in bytes.")
    EXPIRES_AT = enum_value("expires_at", description="When it will be deleted; those that never are come first.")


@strawberry.enum(description="What a browser does with a download.")
class ContentDisposition(Enum):
    ATTACHMENT = enum_value("attachment", description="Saves it under the file's name.")
    INLINE = enum_value("inline", description="Shows it, where it can.")


@strawberry.enum(description="What guests do by a share link.")
class ShareLinkKind(Enum):
    DOWNLOAD = enum_value("download", description="Guests download the file.")
    UPLOAD = enum_value("upload", description="Guests upload into this tenant.")


@strawberry.enum(description="What happened to a file.")
class FileEventAction(Enum):
    CREATED = enum_value("created", description="It arrived.")
    UPDATED = enum_value("updated", description="Name, visibility, resource, metadata or expiry changed.")
    VERSION_ADDED = enum_value("version_added", description="It has a new content.")
    STATUS_CHANGED = enum_value("status_changed", description="It became ready, failed or was quarantined.")
    DELETED = enum_value("deleted", description="It went into the trash.")
    RESTORED = enum_value("restored", description="It came out of the trash.")
    PURGED = enum_value("purged", description="It is gone for good.")


@strawberry.enum(description="Formats that SQL can read.")
class SqlFormat(Enum):
    CSV = enum_value("csv", description="Delimited text.")
    JSON_LINES = enum_value("json_lines", description="One JSON value a line.")
    JSON_DOCUMENT = enum_value("json_document", description="One JSON value.")
    PARQUET = enum_value("parquet", description="Apache Parquet.")


@strawberry.enum(description="Formats that a result can be saved in.")
class SqlResultFormat(Enum):
    CSV = enum_value("csv", description="Delimited text.")
    JSON_LINES = enum_value("json_lines", description="One JSON object a line.")


@strawberry.enum(description="Stable and machine readable. New values may be added: treat unknown ones as INVALID.")
class UserErrorCode(Enum):
    INVALID = enum_value("invalid", description="The value cannot be right.")
    REQUIRED = enum_value("required", description="Something must be given.")
    TOO_SHORT = enum_value("too_short", description="Too few characters or entries.")
    TOO_LONG = enum_value("too_long", description="Too many characters or entries.")
    OUT_OF_RANGE = enum_value("out_of_range", description="A number outside its bounds.")
    TAKEN = enum_value("taken", description="Somebody or something else has it already.")
    NOT_FOUND = enum_value("not_found", description="There is no such thing, or it is not yours to see.")
    FORBIDDEN = enum_value("forbidden", description="You may see it, but not do this to it.")
    CONFLICT = enum_value("conflict", description="It changed meanwhile, or stands where this cannot be done.")
    INVALID_CREDENTIALS = enum_value("invalid_credentials", description="Name and password do not go together.")
    TOKEN_INVALID = enum_value("token_invalid", description="The token is forged, used up or revoked.")
    TOKEN_EXPIRED = enum_value("token_expired", description="The token's time has passed.")
    EMAIL_NOT_VERIFIED = enum_value("email_not_verified", description="The e-mail address was not confirmed yet.")
    PASSWORD_TOO_WEAK = enum_value("password_too_weak", description="Too short, or too easily guessed.")
    ACCOUNT_DISABLED = enum_value("account_disabled", description="The account is switched off.")
    SIGN_UP_DISABLED = enum_value("sign_up_disabled", description="This server takes no new accounts from strangers.")
    QUOTA_EXCEEDED = enum_value("quota_exceeded", description="The tenant has no room for it.")
    FILE_TOO_LARGE = enum_value("file_too_large", description="Larger than is taken.")
    CONTENT_TYPE_NOT_ALLOWED = enum_value("content_type_not_allowed", description="The tenant takes no such type.")
    CHECKSUM_MISMATCH = enum_value("checksum_mismatch", description="The bytes are not those announced.")
    FILE_NOT_READY = enum_value("file_not_ready", description="Its bytes may not be read yet.")
    FILE_DELETED = enum_value("file_deleted", description="It is in the trash, or its time is over.")
    LINK_EXPIRED = enum_value("link_expired", description="The link's time is over, or it was ended.")
    LINK_EXHAUSTED = enum_value("link_exhausted", description="The link was used as often as it may be.")
    LINK_PASSWORD_REQUIRED = enum_value(
        "link_password_required", description="The link's password is missing or wrong."
    )
    SQL_INVALID = enum_value("sql_invalid", description="The statement, or the file read with it, is at fault.")
