"""
tus 1.0.0: request heads become commands, outcomes become answers. Quotes are of the specification, tus.io/protocols.

No rule about an upload's state stands here: those are domain.upload's.
"""

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from domain.errors import InvalidValue, LighterageError, NotFound, OffsetMismatch, Unauthenticated
from domain.ids import UploadId, is_id
from domain.problem import CONTENT_TYPE, problem_document, retry_after_seconds
from domain.upload import (
    AppendBytes,
    Checksum,
    Command,
    Concatenation,
    CreateUpload,
    GetOptions,
    GetStatus,
    TerminateUpload,
    Upload,
    UploadStatus,
)
from upload.protocol import headers
from upload.protocol.config import Config, Extension
from upload.protocol.errors import MediaTypeUnsupported, MethodNotAllowed, VersionUnsupported
from upload.protocol.message import Answer, Field, RequestHead, check_body_fits

VERSION = "1.0.0"
MEDIA_TYPE = "application/offset+octet-stream"

# "The Tus-Resumable header MUST be included in every request and response"; "The Server MUST prevent the client and/or
# proxies from caching the response by adding the Cache-Control: no-store header".
COMMON_FIELDS: tuple[Field, ...] = (
    (b"tus-resumable", VERSION.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

STATUS_BY_CODE: Mapping[str, int] = {
    "account_disabled": 403,
    "body_cut": 400,
    "checksum_algorithm_unsupported": 400,  # "400 Bad Request if the checksum algorithm is not supported by the server"
    "checksum_mismatch": 460,  # "460 Checksum Mismatch if the checksums mismatch"
    "clock_skewed": 401,
    "conflict": 409,
    "content_coding_unsupported": 415,
    "content_type_not_allowed": 415,
    "cursor_invalid": 400,
    "cursor_too_old": 410,
    "email_not_verified": 403,
    "file_deleted": 410,
    "file_not_ready": 409,
    "internal": 500,
    "interop_version_unsupported": 400,
    "images_unavailable": 503,
    "invalid_credentials": 401,
    "invalid_value": 400,
    "lease_lost": 409,
    "length_exceeded": 413,  # "the Server MUST respond with the 413 Request Entity Too Large status"
    "length_mismatch": 400,
    "length_unknown": 409,
    "link_exhausted": 403,  # never 410: clients would take that for an upload to begin anew
    "link_expired": 403,
    "link_password_required": 403,
    "media_type_unsupported": 415,  # "otherwise the server SHOULD return a 415 Unsupported Media Type status"
    "method_not_allowed": 405,
    "not_found": 404,
    "not_processed": 409,  # "it SHOULD return a 404 Not Found status"
    "offset_mismatch": 409,  # "the Server MUST respond with the 409 Conflict status"
    "permission_denied": 403,
    "query_limit_exceeded": 422,
    "quota_exceeded": 413,
    "range_not_satisfiable": 416,
    "rate_limited": 429,
    "request_idle": 408,
    "request_stopped": 423,
    "scanner_unavailable": 503,
    "sign_up_disabled": 403,
    "signature_invalid": 401,
    "sql_invalid": 400,
    "store_full": 507,
    "store_unavailable": 503,
    "token_expired": 401,
    "token_invalid": 401,
    "unauthenticated": 401,
    # Clients take 409 as "ask for the offset again", and see then that nothing is left to send.
    "upload_complete": 409,
    "upload_expired": 410,  # "410 Gone [...] SHOULD be used if the Server is keeping track of expired uploads"
    "upload_locked": 423,
    "version_unsupported": 412,  # "MUST respond with the 412 Precondition Failed status"
}


# ---- requests


def method_of(head: RequestHead) -> str:
    """
    Give the method that is meant.

    "The X-HTTP-Method-Override request header [...] MUST be interpreted as the request's method by the Server, if the
    header is presented. The actual method of the request MUST be ignored."
    """
    override = head.headers.find(b"x-http-method-override")
    return head.method if override is None else override.strip().upper()


def parse(head: RequestHead, config: Config) -> Command:
    """
    Turn a request's head into a command.

    Raises:
        LighterageError: The request breaks the protocol's grammar; its body must not be read.
    """
    method = method_of(head)
    if method == "OPTIONS":
        # "the Server MUST ignore the header", Tus-Resumable.
        return GetOptions()
    # "If the version specified by the Client is not supported by the Server, it MUST respond with the 412 [...]
    # the Server MUST NOT process the request."
    if head.headers.find(b"tus-resumable") != VERSION:
        raise VersionUnsupported
    if not head.path_tail:
        if method != "POST" or not config.offers(Extension.CREATION):
            raise MethodNotAllowed(method, allowed=_allowed_for_all(config))
        return _parse_creation(head, config)
    if method not in _allowed_for_one(config).split(", "):
        raise MethodNotAllowed(method, allowed=_allowed_for_one(config))
    upload_id = parse_upload_id(head.path_tail)
    if method == "PATCH":
        return _parse_append(upload_id, head, config)
    return GetStatus(upload_id) if method == "HEAD" else TerminateUpload(upload_id)


def parse_upload_id(path_tail: str) -> UploadId:
    """Raise NotFound unless it has the form of an upload's id: nothing else may reach a store."""
    if not is_id(path_tail, "upload"):
        raise NotFound("upload")
    return UploadId(path_tail)


def _allowed_for_all(config: Config) -> str:
    return "POST, OPTIONS" if config.offers(Extension.CREATION) else "OPTIONS"


def _allowed_for_one(config: Config) -> str:
    return "HEAD, PATCH, DELETE, OPTIONS" if config.offers(Extension.TERMINATION) else "HEAD, PATCH, OPTIONS"


def _parse_creation(head: RequestHead, config: Config) -> CreateUpload:
    fields = head.headers
    if head.has_body:
        if not config.offers(Extension.CREATION_WITH_UPLOAD):
            raise InvalidValue("an upload is created without a body here; send the bytes with PATCH")
        # "The Client MUST include the Content-Type: application/offset+octet-stream header."
        _require_media_type(head)
    concat_header = fields.find(b"upload-concat")
    concatenation, members = _parse_concat(concat_header, head, config)
    length = _parse_creation_length(head, config, concatenation)
    check_body_fits(head.body_length, length=length)
    metadata_header = fields.find(b"upload-metadata")
    digest = fields.find(b"repr-digest")  # RFC 9530; not of tus, but what a client knows of its file it may say here
    return CreateUpload(
        length=length,
        metadata=() if metadata_header is None else headers.parse_metadata(metadata_header),
        metadata_header=metadata_header or None,
        has_body=head.has_body,
        body_length=head.body_length,
        checksum=_parse_checksum(head, config) if head.has_body else None,
        digest=None if digest is None else headers.parse_repr_digest(digest),
        concatenation=concatenation,
        concatenation_header=concat_header,
        members=members,
    )


def _parse_creation_length(head: RequestHead, config: Config, concatenation: Concatenation) -> int | None:
    length = head.headers.find(b"upload-length")
    defer = head.headers.find(b"upload-defer-length")
    if concatenation is Concatenation.FINAL:
        # "The Client MUST NOT include the Upload-Length header in the final upload creation."
        if length is not None or defer is not None:
            raise InvalidValue(
                "a final upload is as long as its parts; leave out Upload-Length", path=("Upload-Length",)
            )
        return None
    # "The request MUST include one of the following headers: a) Upload-Length [...] b) Upload-Defer-Length: 1"
    if (length is None) == (defer is None):
        raise InvalidValue("send one of Upload-Length and Upload-Defer-Length", path=("Upload-Length",))
    if length is not None:
        return headers.parse_length(length)
    assert defer is not None
    # "If the Upload-Defer-Length header contains any other value than 1 the server should return a 400 Bad Request"
    headers.parse_defer_length(defer)
    if not config.offers(Extension.CREATION_DEFER_LENGTH):
        raise InvalidValue("the length must be known when an upload is created here", path=("Upload-Length",))
    return None


def _parse_concat(header: str | None, head: RequestHead, config: Config) -> tuple[Concatenation, tuple[UploadId, ...]]:
    if header is None:
        return Concatenation.NONE, ()
    if not config.offers(Extension.CONCATENATION):
        raise InvalidValue("uploads are not concatenated here", path=("Upload-Concat",))
    prefixes = (urlsplit(head.location_prefix).path, head.location_path, config.base_path)
    concatenation, members = headers.parse_concat(header, location_prefixes=prefixes)
    if concatenation is Concatenation.FINAL and head.has_body:
        raise InvalidValue("a final upload is made of its parts and has no body", path=("Upload-Concat",))
    return concatenation, members


def _parse_append(upload_id: UploadId, head: RequestHead, config: Config) -> AppendBytes:
    _require_media_type(head)
    offset = head.headers.find(b"upload-offset")
    if offset is None:
        raise InvalidValue("Upload-Offset is missing", path=("Upload-Offset",), reason="required")
    # "the Client MUST set the Upload-Length header in the next PATCH request, once the length is known."
    length = head.headers.find(b"upload-length")
    return AppendBytes(
        upload_id,
        offset=headers.parse_offset(offset),
        body_length=head.body_length,
        length=None if length is None else headers.parse_length(length),
        checksum=_parse_checksum(head, config),
    )


def _require_media_type(head: RequestHead) -> None:
    # "All PATCH requests MUST use Content-Type: application/offset+octet-stream"
    if (head.headers.find(b"content-type") or "").strip().lower() != MEDIA_TYPE:
        raise MediaTypeUnsupported(MEDIA_TYPE)


def _parse_checksum(head: RequestHead, config: Config) -> Checksum | None:
    header = head.headers.find(b"upload-checksum")
    if header is not None:
        algorithms = config.checksum_algorithms if config.offers(Extension.CHECKSUM) else ()
        return headers.parse_checksum(header, algorithms=algorithms)
    # "If the hash cannot be calculated at the beginning of the upload, it MAY be included as a trailer."
    trailer = head.headers.find(b"trailer")
    if trailer is None or not headers.names_field(trailer, "upload-checksum"):
        return None
    if not config.offers(Extension.CHECKSUM_TRAILER) or head.body_length is not None:
        raise InvalidValue("a checksum cannot follow this body; send it as a header", path=("Trailer",))
    return Checksum(headers.CHECKSUM_OF_TRAILER, None)


# ---- answers


def format_options(config: Config) -> Answer:
    """Say what is spoken here; only what is switched on is named."""
    fields = [(b"tus-version", VERSION.encode()), (b"tus-max-size", str(config.length_max).encode())]
    names = [extension.value for extension in Extension if config.offers(extension)]
    if names:  # "If no extensions are supported, the Tus-Extension header MUST be omitted."
        fields.append((b"tus-extension", ",".join(names).encode()))
    if config.offers(Extension.CHECKSUM):
        fields.append((b"tus-checksum-algorithm", ",".join(config.checksum_algorithms).encode()))
    return Answer(204, tuple(fields))


def format_created(
    upload: Upload, command: CreateUpload, head: RequestHead, config: Config, *, fault: LighterageError | None = None
) -> Answer:
    """
    Tell where the new upload is.

    Args:
        fault: Why its body ended early. Not told: the offset says how far it came, and nothing else says where it is.
    """
    fields = [(b"location", (head.location_prefix + upload.id).encode())]
    # "The Server [...] MUST include the Upload-Offset header in the response" (creation with upload)
    if command.has_body:
        fields.append(_offset(upload))
    if upload.concatenation is not Concatenation.NONE:
        # "The Upload-Concat request and response header MUST be set in both partial and final upload creation"
        fields.append(_concat(upload, head))
    # "If the expiration is known at the creation, the Upload-Expires header MUST be included"
    return Answer(201, (*fields, *_expires(upload, config)))


def format_appended(upload: Upload, command: AppendBytes, head: RequestHead, config: Config) -> Answer:
    # "The Server MUST acknowledge successful PATCH requests with the 204 No Content status. It MUST include the
    # Upload-Offset header containing the new offset."
    return Answer(204, (_offset(upload), *_expires(upload, config)))


def format_status(upload: Upload, head: RequestHead, config: Config) -> Answer:
    fields: list[Field] = []
    # "The response to a HEAD request for a final upload SHOULD NOT contain the Upload-Offset header unless the
    # concatenation has been successfully finished."
    if upload.concatenation is not Concatenation.FINAL or upload.status is UploadStatus.COMPLETED:
        fields.append(_offset(upload))
    if upload.length is not None:
        fields.append((b"upload-length", str(upload.length).encode()))
    elif upload.concatenation is not Concatenation.FINAL:
        # "As long as the length of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all responses
        # to HEAD requests."
        fields.append((b"upload-defer-length", b"1"))
    if upload.metadata_header is not None:
        # "MUST include the Upload-Metadata header and its value as specified by the Client during the creation."
        fields.append((b"upload-metadata", upload.metadata_header.encode("latin-1")))
    if upload.concatenation is not Concatenation.NONE:
        # "MUST include the Upload-Concat header and its value as received in the upload creation request."
        fields.append(_concat(upload, head))
    return Answer(200, (*fields, *_expires(upload, config)))


def format_terminated(head: RequestHead) -> Answer:
    # "MUST respond with the 204 No Content status confirming that the upload was terminated."
    return Answer(204)


def _offset(upload: Upload) -> Field:
    return b"upload-offset", str(upload.offset).encode()


def _concat(upload: Upload, head: RequestHead) -> Field:
    concat = upload.concatenation_header or headers.format_concat(
        upload.concatenation, upload.members, location_prefix=head.location_path
    )
    return b"upload-concat", concat.encode("latin-1")


def _expires(upload: Upload, config: Config) -> tuple[Field, ...]:
    # "the time after which the unfinished upload expires": a finished one never does.
    if not upload.status.is_open or not config.offers(Extension.EXPIRATION):
        return ()
    return ((b"upload-expires", headers.format_time(upload.expires_at).encode()),)


# ---- faults


def format_error(error: LighterageError, head: RequestHead, config: Config, *, offset: int | None = None) -> Answer:
    """
    Say what went wrong, and what to do next.

    Args:
        offset: Where the upload stands, if bytes of this very request were stored.
    """
    status = STATUS_BY_CODE[error.code]
    body = json.dumps(problem_document(error, status=status, request_id=head.request_id), ensure_ascii=False).encode()
    fields = [(b"content-type", CONTENT_TYPE.encode()), *error_fields(error)]
    if isinstance(error, OffsetMismatch):
        offset = error.stored
    if offset is not None:
        fields.append((b"upload-offset", str(offset).encode()))
    if isinstance(error, VersionUnsupported):
        # "MUST include the Tus-Version header into the response."
        fields.append((b"tus-version", VERSION.encode()))
    return Answer(status, tuple(fields), body)


def error_fields(error: LighterageError) -> list[Field]:
    """Give the fields that HTTP itself wants with some faults."""
    fields: list[Field] = []
    if isinstance(error, Unauthenticated):
        # RFC 6750, 3: the error attribute is for requests that did carry a token.
        invalid = b', error="invalid_token"' if error.code in {"token_invalid", "token_expired"} else b""
        fields.append((b"www-authenticate", b'Bearer realm="lighterage"' + invalid))
    if isinstance(error, MethodNotAllowed):
        fields.append((b"allow", error.allowed.encode()))
    if (seconds := retry_after_seconds(error)) is not None:
        fields.append((b"retry-after", str(seconds).encode()))
    return fields
