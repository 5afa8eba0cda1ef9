"""
One table from the domain's error codes to what GraphQL clients see, and the type of an error a form can show.

An error goes one of two ways. What the caller can put right in a form is a `UserError` in the payload; everything
else is an entry of `errors` with one of a closed set of codes.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry

from domain.errors import InvalidValue, LighterageError, PermissionDenied, SqlInvalid
from schema.enums import UserErrorCode


class ErrorCode(Enum):
    """`errors[].extensions.code`: nothing else ever stands there."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_REQUEST = "BAD_REQUEST"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    RATE_LIMITED = "RATE_LIMITED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    How one domain error is told.

    Attributes:
        code: In `errors`, of a query, a subscription, or a mutation whose caller cannot put it right.
        user_code: In `userErrors` of a mutation; None where it never goes there.
    """

    code: ErrorCode
    user_code: UserErrorCode | None = None


ANSWERS: dict[str, Answer] = {
    "not_found": Answer(ErrorCode.NOT_FOUND, UserErrorCode.NOT_FOUND),
    "clock_skewed": Answer(ErrorCode.UNAUTHENTICATED),
    "conflict": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "unauthenticated": Answer(ErrorCode.UNAUTHENTICATED),
    "token_invalid": Answer(ErrorCode.UNAUTHENTICATED, UserErrorCode.TOKEN_INVALID),
    "token_expired": Answer(ErrorCode.UNAUTHENTICATED, UserErrorCode.TOKEN_EXPIRED),
    "invalid_credentials": Answer(ErrorCode.UNAUTHENTICATED, UserErrorCode.INVALID_CREDENTIALS),
    "email_not_verified": Answer(ErrorCode.FORBIDDEN, UserErrorCode.EMAIL_NOT_VERIFIED),
    "sign_up_disabled": Answer(ErrorCode.FORBIDDEN, UserErrorCode.SIGN_UP_DISABLED),
    "permission_denied": Answer(ErrorCode.FORBIDDEN, UserErrorCode.FORBIDDEN),
    "invalid_value": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.INVALID),
    "cursor_invalid": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.INVALID),
    "cursor_too_old": Answer(ErrorCode.BAD_REQUEST),
    "rate_limited": Answer(ErrorCode.RATE_LIMITED),
    "offset_mismatch": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "length_exceeded": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.FILE_TOO_LARGE),
    "length_unknown": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "length_mismatch": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "checksum_mismatch": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CHECKSUM_MISMATCH),
    "upload_complete": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "upload_expired": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "upload_locked": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "content_type_not_allowed": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONTENT_TYPE_NOT_ALLOWED),
    "quota_exceeded": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.QUOTA_EXCEEDED),
    "not_processed": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.FILE_NOT_READY),
    "lease_lost": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.CONFLICT),
    "file_not_ready": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.FILE_NOT_READY),
    "range_not_satisfiable": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.OUT_OF_RANGE),
    "account_disabled": Answer(ErrorCode.FORBIDDEN, UserErrorCode.ACCOUNT_DISABLED),
    "file_deleted": Answer(ErrorCode.NOT_FOUND, UserErrorCode.FILE_DELETED),
    "link_expired": Answer(ErrorCode.NOT_FOUND, UserErrorCode.LINK_EXPIRED),
    "link_exhausted": Answer(ErrorCode.NOT_FOUND, UserErrorCode.LINK_EXHAUSTED),
    "link_password_required": Answer(ErrorCode.FORBIDDEN, UserErrorCode.LINK_PASSWORD_REQUIRED),
    "signature_invalid": Answer(ErrorCode.UNAUTHENTICATED),
    "sql_invalid": Answer(ErrorCode.BAD_REQUEST, UserErrorCode.SQL_INVALID),
    "query_limit_exceeded": Answer(ErrorCode.BAD_REQUEST),
    "scanner_unavailable": Answer(ErrorCode.INTERNAL),
    "images_unavailable": Answer(ErrorCode.INTERNAL),
    "store_full": Answer(ErrorCode.INTERNAL),
    "store_unavailable": Answer(ErrorCode.INTERNAL),
}

_USER_CODES = {str(code.value): code for code in UserErrorCode}


@strawberry.type(description="An error of one mutation that the caller can act on.")
class UserError:
    path: list[str] = strawberry.field(
        description='Path into `input`, e.g. ["expiresAt"] or ["fileIds", "3"]; empty when it concerns all of it.'
    )
    message: str = strawberry.field(description="Human readable, English, safe to show.")
    code: UserErrorCode = strawberry.field(description="Stable and machine readable.")


def user_error(error: LighterageError, *, path: tuple[str, ...] = ()) -> UserError:
    """
    Tell an error in the payload of a mutation.

    Args:
        path: Where the error is, when the error itself does not know.

    Raises:
        LighterageError: The same again, when it is nothing that a form could put right.
    """
    code = ANSWERS[error.code].user_code
    if code is None:
        raise error
    if isinstance(error, InvalidValue):
        path = path + tuple(_camel(part) for part in error.path)
        code = _USER_CODES.get(error.reason, code)
    return UserError(path=list(path), message=error.message, code=code)


def refusal(error: LighterageError, *, path: tuple[str, ...] = ()) -> list[UserError]:
    """
    Tell why a whole mutation was refused.

    Raises:
        LighterageError: The same again, when it belongs into `errors`: a missing right is nothing to type anew.
    """
    if isinstance(error, PermissionDenied):
        raise error
    return [user_error(error, path=path)]


def extensions_of(error: LighterageError) -> dict[str, Any]:
    """Give `extensions` of an entry in `errors`: the closed code, the domain's finer `reason`, and what to do next."""
    extensions: dict[str, Any] = {"code": ANSWERS[error.code].code.value, "reason": error.code}
    if error.hint:
        extensions["hint"] = error.hint
    if isinstance(error, SqlInvalid):
        extensions["sqlCode"] = error.sql_code
        if error.position is not None:
            extensions["line"], extensions["column"] = error.position
    if isinstance(error, InvalidValue) and error.path:
        extensions["argument"] = [_camel(part) for part in error.path]
    retry_after_seconds = getattr(error, "retry_after_seconds", None)
    if isinstance(retry_after_seconds, int):
        extensions["retryAfterSeconds"] = retry_after_seconds
    return extensions


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
