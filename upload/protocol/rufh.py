"""
The IETF's Resumable Uploads for HTTP: request heads become commands, outcomes become answers.

Quotes are of draft-ietf-httpbis-resumable-upload: of its newest text (interop 10, and no header at all: the RFC to be),
and marked "-05" of the one that Apple's URLSession speaks (interop 6). No rule about an upload's state stands here.
"""

import json
from collections.abc import Mapping

from domain.errors import InvalidValue, LengthExceeded, LengthMismatch, LighterageError, OffsetMismatch, UploadComplete
from domain.ids import UploadId
from domain.problem import CONTENT_TYPE, problem_document
from domain.upload import AppendBytes, Checksum, Command, CreateUpload, GetOptions, GetStatus, TerminateUpload, Upload
from upload.protocol import headers, structured, tus1
from upload.protocol.config import Config, Extension
from upload.protocol.errors import (
    ContentCodingUnsupported,
    InteropVersionUnsupported,
    MediaTypeUnsupported,
    MethodNotAllowed,
)
from upload.protocol.message import Answer, Field, RequestHead, check_body_fits

MEDIA_TYPE = "application/partial-upload"
APPLE = 6
NEWEST = 10
_VERSIONS = range(APPLE, NEWEST + 1)

# Where this protocol wants another status than tus does.
STATUS_BY_CODE: Mapping[str, int] = {
    **tus1.STATUS_BY_CODE,
    "checksum_mismatch": 400,
    "upload_complete": 400,  # -05: "MUST NOT modify the upload resource and MUST respond with a 400"
}
_STATUS_BY_CODE_APPLE: Mapping[str, int] = {
    **STATUS_BY_CODE,
    # -05: "If the server does not consider the upload resource to be active, it MUST respond with a 404 (Not Found)"
    "upload_expired": 404,
}
_PROBLEM_TYPES: Mapping[type[LighterageError], str] = {
    OffsetMismatch: "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
    LengthMismatch: "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
    UploadComplete: "https://iana.org/assignments/http-problem-types#completed-upload",
}


# ---- requests


def claims(head: RequestHead) -> bool:
    """
    Tell whether a request speaks this protocol and not tus.

    HEAD, GET and DELETE of the RFC to be carry no mark of their own, so whatever names no version of tus is it.
    """
    fields = head.headers
    if b"upload-draft-interop-version" in fields:
        return True
    if b"tus-resumable" in fields:
        return False
    if head.method in {"HEAD", "GET", "DELETE"}:
        return bool(head.path_tail) and b"x-http-method-override" not in fields
    return b"upload-complete" in fields or _media_type(head) == MEDIA_TYPE


def parse(head: RequestHead, config: Config) -> Command:
    """
    Turn a request's head into a command.

    Raises:
        LighterageError: The request breaks the protocol's grammar; its body must not be read.
    """
    if head.method == "OPTIONS":
        return GetOptions()
    _require_version(head)
    if not head.path_tail:
        # "all request methods that allow content are possible, such as POST, PUT, and PATCH"
        if head.method not in {"POST", "PUT"} or not config.offers(Extension.CREATION):
            raise MethodNotAllowed(head.method, allowed="POST, PUT, OPTIONS")
        return _parse_creation(head, config)
    upload_id = tus1.parse_upload_id(head.path_tail)
    match head.method:
        case "PATCH":
            return _parse_append(upload_id, head, config)
        case "HEAD" | "GET":
            _refuse_fields(head, b"upload-offset", b"upload-complete", b"upload-length")
            # "the offset sent by the server MUST be accepted in a subsequent request to append representation data if
            # no other request [...] was received in the meantime"; "the server SHOULD prevent race conditions [...] by
            # terminating the previous request before processing the new request."
            return GetStatus(upload_id, settles=True)
        case "DELETE" if config.offers(Extension.TERMINATION):
            _refuse_fields(head, b"upload-offset", b"upload-complete")
            return TerminateUpload(upload_id)
        case _:
            raise MethodNotAllowed(head.method, allowed="HEAD, GET, PATCH, DELETE, OPTIONS")


def version_of(head: RequestHead) -> int | None:
    """Give the interop version that a request names and that is known here; None without the field: the RFC to be."""
    version = structured.parse_integer(head.headers.find(b"upload-draft-interop-version") or "")
    return version if version in _VERSIONS else None


def _require_version(head: RequestHead) -> None:
    if b"upload-draft-interop-version" in head.headers and version_of(head) is None:
        raise InteropVersionUnsupported


def _refuse_fields(head: RequestHead, *names: bytes) -> None:
    # -05: "The request MUST NOT include an Upload-Offset, Upload-Complete, or Upload-Length header field. The server
    # MUST reject requests with either of these fields by responding with a 400 (Bad Request) status code."
    if version_of(head) == APPLE:
        for name in names:
            if name in head.headers:
                raise InvalidValue("the field does not belong to this request", path=(name.decode().title(),))


def _parse_creation(head: RequestHead, config: Config) -> CreateUpload:
    fields = head.headers
    is_last = structured.parse_boolean(fields.find(b"upload-complete") or "")
    if is_last is None:
        raise InvalidValue("Upload-Complete must be ?1 or ?0", path=("Upload-Complete",))
    # -05: "The request MUST NOT include the Upload-Offset header field."; Apple's own server lets 0 pass.
    if version_of(head) == APPLE and fields.find(b"upload-offset") not in {None, "0"}:
        raise InvalidValue("an upload begins at byte 0", path=("Upload-Offset",))
    _check_content(head, config)
    length = _parse_length(head, is_last=is_last, offset=0)
    check_body_fits(head.body_length, length=length)
    metadata_header = fields.find(b"upload-metadata")
    digest = fields.find(b"repr-digest")
    return CreateUpload(
        length=length,
        metadata=_parse_metadata(head),
        metadata_header=metadata_header or None,
        has_body=head.has_body,
        body_length=head.body_length,
        content_type=fields.find(b"content-type"),
        is_last=is_last,
        checksum=_parse_checksum(head),
        digest=None if digest is None else headers.parse_repr_digest(digest),
    )


def _parse_metadata(head: RequestHead) -> tuple[tuple[str, bytes], ...]:
    """Find what is said of the file: its name, and tus' field, which tus-js-client sends in this protocol too."""
    metadata = headers.parse_metadata(head.headers.find(b"upload-metadata") or "")
    name = headers.parse_disposition_name(head.headers.find(b"content-disposition") or "")
    if name is None or any(key == "filename" for key, _ in metadata):
        return metadata
    return (*metadata, ("filename", name))


def _parse_append(upload_id: UploadId, head: RequestHead, config: Config) -> AppendBytes:
    fields = head.headers
    # "by sending a PATCH request with the application/partial-upload media type"
    if _media_type(head) != MEDIA_TYPE:
        raise MediaTypeUnsupported(MEDIA_TYPE)
    offset = structured.parse_integer(fields.find(b"upload-offset") or "")
    if offset is None:
        raise InvalidValue("Upload-Offset must be a number of bytes", path=("Upload-Offset",))
    is_last = structured.parse_boolean(fields.find(b"upload-complete") or "")
    if is_last is None:
        # "The request MUST include the Upload-Complete header field." Apple's client of -05 leaves it out, and means
        # the rest of the file.
        if version_of(head) != APPLE:
            raise InvalidValue("Upload-Complete must be ?1 or ?0", path=("Upload-Complete",))
        is_last = True
    _check_content(head, config)
    return AppendBytes(
        upload_id,
        offset=offset,
        body_length=head.body_length,
        length=_parse_length(head, is_last=is_last, offset=offset),
        is_last=is_last,
        checksum=_parse_checksum(head),
    )


def _parse_length(head: RequestHead, *, is_last: bool, offset: int) -> int | None:
    """Find the length of the whole file: declared, or where the last body ends."""
    declared = structured.parse_integer(head.headers.find(b"upload-length") or "")
    # "If the request includes the Upload-Complete field value set to true and a valid Content-Length header field,
    # [...] The length is then the sum of the current offset and the Content-Length header field value."
    if not is_last or head.body_length is None:
        return declared
    length = offset + head.body_length
    # "If indicators (1) and (2) are both present in the same request, their indicated lengths MUST match."
    if declared not in {None, length}:
        raise LengthMismatch(f"the body ends the file at byte {length}, Upload-Length says {declared}")
    return length


def _check_content(head: RequestHead, config: Config) -> None:
    if (head.headers.find(b"content-encoding") or "identity").strip().lower() != "identity":
        raise ContentCodingUnsupported
    limit = config.append_size_max
    # "max-append-size: [...] The server might reject requests exceeding this limit."
    if limit is not None and head.body_length is not None and head.body_length > limit:
        raise LengthExceeded(f"a request carries at most {limit} bytes; send the file in several")


def _parse_checksum(head: RequestHead) -> Checksum | None:
    # "it can include the Content-Digest header field in the request"
    digest = head.headers.find(b"content-digest")
    return None if digest is None else headers.parse_content_digest(digest)


def _media_type(head: RequestHead) -> str:
    return (head.headers.find(b"content-type") or "").partition(";")[0].strip().lower()


# ---- answers


def format_options(config: Config) -> Answer:
    # "the server MUST include the Upload-Limit header field with the corresponding limits in the response"
    return Answer(204, ((b"upload-limit", _limits(config)),))


def format_created(
    upload: Upload, command: CreateUpload, head: RequestHead, config: Config, *, fault: LighterageError | None = None
) -> Answer:
    """
    Tell where the new upload is, or what became of the whole file.

    Args:
        fault: Why the body ended early. A success would say that a request with the whole file was carried out.
    """
    # "the server MUST include the Location response header field pointing to the upload resource and MUST include the
    # Upload-Limit header field [...] RECOMMENDED to use the 201 (Created) status code."
    location = (b"location", (head.location_prefix + upload.id).encode())
    if fault is not None:
        answer = format_error(fault, head, config, offset=upload.offset)
        return Answer(answer.status, (*answer.headers, location), answer.body)
    limits = (b"upload-limit", _limits(config, upload, head))
    return Answer(201, (location, *_state(upload), limits, *_version(head)))


def format_appended(upload: Upload, command: AppendBytes, head: RequestHead, config: Config) -> Answer:
    state = (*_state(upload), *_version(head))
    if _is_complete(upload):
        # "SHOULD generate the response that matches what the resource, that was targeted by the initial upload creation
        # would have generated [...] MUST include the Upload-Complete header field with a true value"
        return Answer(201, ((b"location", (head.location_prefix + upload.id).encode()), *state))
    # "a 2xx (Successful) response with the Upload-Complete header field set to false"; -05: "MUST acknowledge it by
    # responding with the 201 (Created) status code".
    return Answer(201 if version_of(head) == APPLE else 204, state)


def format_status(upload: Upload, head: RequestHead, config: Config) -> Answer:
    # "MUST include the offset in the Upload-Offset header field, MUST include the Upload-Complete header field [...],
    # MUST include the length in the Upload-Length header field, unless the client has not supplied one, [...] MUST
    # indicate the limits in the Upload-Limit header field"
    length = () if upload.length is None else ((b"upload-length", str(upload.length).encode()),)
    limits = (b"upload-limit", _limits(config, upload, head))
    return Answer(204, (*_state(upload), *length, limits, *_version(head)))


def format_terminated(head: RequestHead) -> Answer:
    return Answer(204, _version(head))


def format_interim(upload: Upload, head: RequestHead, config: Config) -> Answer | None:
    """
    Announce the new upload before its body has come; None where the client must not be sent that.

    "When sent, it MUST include Location header field pointing to the upload resource and MUST include the Upload-Limit
    header field"; "MUST NOT send a 104 [...] when the interop version [...] is missing or mismatching".
    """
    if version_of(head) is None:
        return None
    location = (b"location", (head.location_prefix + upload.id).encode())
    return Answer(104, (location, (b"upload-limit", _limits(config, upload, head)), *_version(head)))


def _is_complete(upload: Upload) -> bool:
    return upload.is_whole and not upload.status.is_open and not upload.status.is_gone


def _state(upload: Upload) -> tuple[Field, Field]:
    complete = structured.format_boolean(_is_complete(upload))
    return (b"upload-complete", complete), (b"upload-offset", str(upload.offset).encode())


def _version(head: RequestHead) -> tuple[Field, ...]:
    version = version_of(head)
    return () if version is None else ((b"upload-draft-interop-version", str(version).encode()),)


def _limits(config: Config, upload: Upload | None = None, head: RequestHead | None = None) -> bytes:
    limits = {"max-size": config.length_max}
    if config.append_size_max is not None:
        limits["max-append-size"] = config.append_size_max
    if upload is not None and head is not None and head.received_at is not None and upload.status.is_open:
        # "the remaining lifetime of the upload resource in seconds"; the name that -05 has for it
        age = max(0, int((upload.expires_at - head.received_at).total_seconds()))
        limits["expires" if version_of(head) == APPLE else "max-age"] = age
    return structured.format_integers(limits)


# ---- faults


def format_error(error: LighterageError, head: RequestHead, config: Config, *, offset: int | None = None) -> Answer:
    """
    Say what went wrong, and what to do next.

    Args:
        offset: Where the upload stands, if bytes of this very request were stored.
    """
    is_apple = version_of(head) == APPLE
    status = (_STATUS_BY_CODE_APPLE if is_apple else STATUS_BY_CODE)[error.code]
    if is_apple and isinstance(error, LengthExceeded) and head.path_tail:
        # -05: "MUST stop appending bytes to the upload once the offset reaches the final size and reject the request
        # with a 400 (Bad Request)"
        status = 400
    document = problem_document(error, status=status, request_id=head.request_id, type=_PROBLEM_TYPES.get(type(error)))
    fields: list[Field] = [
        (b"content-type", CONTENT_TYPE.encode()),
        # "the value of false means that the semantics of the resumable upload protocol apply"
        (b"upload-complete", b"?0"),
        *tus1.error_fields(error),
        *_version(head),
    ]
    if isinstance(error, OffsetMismatch):
        offset = error.stored  # "The response MUST include the correct offset in the Upload-Offset header field."
    if offset is not None:
        fields.append((b"upload-offset", str(offset).encode()))
    if isinstance(error, LengthExceeded):
        # "413 (Content Too Large) [...] SHOULD include the Upload-Limit header field in this response"
        fields.append((b"upload-limit", _limits(config)))
    if isinstance(error, ContentCodingUnsupported):
        fields.append((b"accept-encoding", b"identity"))  # RFC 9110, 15.5.16
    return Answer(status, tuple(fields), json.dumps(document, ensure_ascii=False).encode())
