"""
Problem documents: how a fault is told to an HTTP client (RFC 9457), the same on every face.

Which status a fault has is the face's own affair; nothing here knows a request.
"""

from domain.errors import InvalidValue, LighterageError, OffsetMismatch, SqlInvalid

CONTENT_TYPE = "application/problem+json"

# RFC 9457, 3.1.1: "when relative URIs are used, they include the full path".
_TYPE_PREFIX = "/problems/"


def problem_document(
    error: LighterageError, *, status: int, request_id: str | None = None, type: str | None = None
) -> dict[str, object]:
    """
    Describe a fault: JSON values only.

    Args:
        status: What the face answers with.
        request_id: Names the request in the server's log.
        type: URI of the kind of problem where a standard defines one; else it is made of the code.
    """
    document: dict[str, object] = {
        "type": type or _TYPE_PREFIX + error.code,
        "title": _title(error.code),
        "status": status,
        "detail": error.message or _title(error.code),
        "code": error.code,
    }
    if error.hint:
        document["hint"] = error.hint
    if request_id is not None:
        document["request_id"] = request_id
    document.update(_members(error))
    return document


def retry_after_seconds(error: LighterageError) -> int | None:
    """Say how long the client should wait before it tries again; None where waiting does not help."""
    seconds = getattr(error, "retry_after_seconds", None)
    return seconds if isinstance(seconds, int) else None


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _members(error: LighterageError) -> dict[str, object]:
    """Give the values that explain one kind of fault, named as in the draft's problem type where it has one."""
    members: dict[str, object] = {}
    if isinstance(error, OffsetMismatch):
        members = {"expected-offset": error.stored, "provided-offset": error.requested}
    elif isinstance(error, InvalidValue):
        members = {"reason": error.reason} | ({"path": list(error.path)} if error.path else {})
    elif isinstance(error, SqlInvalid):
        place = {} if error.position is None else dict(zip(("line", "column"), error.position, strict=True))
        members = {"sql_code": error.sql_code, **place}
    if (seconds := retry_after_seconds(error)) is not None:
        members["retry_after_seconds"] = seconds
    return members
