"""Faults as HTTP answers: one table from code to status, RFC 9457 documents as bodies."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import LighterageError, RangeNotSatisfiable, Unauthenticated
from domain.problem import CONTENT_TYPE, problem_document, retry_after_seconds

STATUS_BY_CODE: Mapping[str, int] = {
    "account_disabled": 403,
    "checksum_mismatch": 422,
    "clock_skewed": 401,
    "conflict": 409,
    "content_type_not_allowed": 415,
    "cursor_invalid": 422,
    "cursor_too_old": 410,
    "email_not_verified": 403,
    "file_deleted": 410,
    "file_not_ready": 409,
    "images_unavailable": 503,
    "invalid_credentials": 401,
    "invalid_value": 422,
    "lease_lost": 409,
    "length_exceeded": 413,
    "length_mismatch": 409,
    "length_unknown": 409,
    "link_exhausted": 410,
    "link_expired": 410,
    "link_password_required": 403,
    "not_found": 404,
    "not_processed": 409,
    "offset_mismatch": 409,
    "permission_denied": 403,
    "query_limit_exceeded": 422,
    "quota_exceeded": 413,
    "range_not_satisfiable": 416,
    "rate_limited": 429,
    "scanner_unavailable": 503,
    "sign_up_disabled": 403,
    "signature_invalid": 401,
    "sql_invalid": 400,
    "store_full": 507,
    "store_unavailable": 503,
    "token_expired": 401,
    "token_invalid": 401,
    "unauthenticated": 401,
    "upload_complete": 409,
    "upload_expired": 410,
    "upload_locked": 423,
}

_OF_THE_FACE: Mapping[str, tuple[int, str, str]] = {
    "bad_request": (400, "The request is not HTTP as it must be.", "Correct the request and send it again."),
    "internal": (
        500,
        "something went wrong on the server",
        "Try again; if it stays so, give the request id to the server's operator.",
    ),
    "target_too_long": (414, "the request's target is longer than 8192 bytes", "Shorten the address."),
    "head_too_long": (431, "the header fields are longer than is taken", "Send fewer or shorter header fields."),
    "request_idle": (408, "no byte of the body came for too long, or too few", "Send the request again, in one go."),
}
"""Faults that no service raises: status, what is wrong, what to do."""

_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def problem_response(error: LighterageError, *, request_id: str | None) -> Response:
    """Answer with a fault."""
    status = STATUS_BY_CODE[error.code]
    headers = dict(_NO_STORE)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="lighterage"'
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    seconds = retry_after_seconds(error)
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    document = problem_document(error, status=status, request_id=request_id)
    return Response(orjson.dumps(document), status, headers, CONTENT_TYPE)


def idle_response(*, request_id: str | None) -> Response:
    """Answer to a body that stopped coming."""
    document = {**example_of("request_idle"), "request_id": request_id}
    return Response(orjson.dumps(document), 408, _NO_STORE, CONTENT_TYPE)


async def handle_fault(request: Request, error: Exception) -> Response:
    """Starlette's handler for LighterageError."""
    assert isinstance(error, LighterageError)
    return problem_response(error, request_id=request.scope.get("lighterage.request_id"))


async def handle_crash(request: Request, _error: Exception) -> Response:
    """Starlette's handler for a mistake of ours. It raises the error on afterwards, and the door logs it."""
    document = {**example_of("internal"), "request_id": request.scope.get("lighterage.request_id")}
    return Response(orjson.dumps(document), 500, _NO_STORE, CONTENT_TYPE)


async def handle_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    hint = {
        404: "Check the address; /openapi.json and docs/reference list what there is.",
        405: "Allow lists the methods that this address knows.",
    }.get(error.status_code, "")
    document = {
        "type": f"/problems/{code}",
        "title": phrase,
        "status": error.status_code,
        "detail": f"{request.method} {request.url.path[:200]}: {phrase.lower()}",
        "code": code,
        "hint": hint,
        "request_id": request.scope.get("lighterage.request_id"),
    }
    headers = {**_NO_STORE, **(error.headers or {})}
    return Response(orjson.dumps(document), error.status_code, headers, CONTENT_TYPE)


def status_of(code: str) -> int:
    """Give the status that a fault is told with, also one that no service knows of."""
    return _OF_THE_FACE[code][0] if code in _OF_THE_FACE else STATUS_BY_CODE[code]


def example_of(code: str) -> dict[str, object]:
    """Give a problem document as a client would get it, for the documentation of the interface."""
    detail, hint = _OF_THE_FACE[code][1:] if code in _OF_THE_FACE else _described(code)
    return {
        "type": f"/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status_of(code),
        "detail": detail,
        "code": code,
        "hint": hint,
        "request_id": "0f3a9c51d2e47b86",
    }


def _described(code: str) -> tuple[str, str]:
    kind = next(one for one in _kinds(LighterageError) if getattr(one, "code", None) == code)
    return (kind.__doc__ or "").strip().partition("\n")[0], kind.hint


def _kinds(base: type[LighterageError]) -> Iterator[type[LighterageError]]:
    for one in base.__subclasses__():
        yield one
        yield from _kinds(one)
