"""
What clients are told of errors: a message that is safe, and one of a closed set of codes.

What is not a domain error, nor GraphQL's own word about the request, is masked and logged under the request's id.
"""

import logging
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

from domain.errors import LighterageError
from schema.errors import ErrorCode, extensions_of

_log = logging.getLogger("lighterage.graphql")

MASKED = "something went wrong on our side; name the requestId when you report it"


class Refused(Exception):
    """A request that is not executed at all, with every reason for it."""

    def __init__(
        self, errors: Sequence[GraphQLError], code: ErrorCode, extensions: dict[str, Any] | None = None
    ) -> None:
        super().__init__(errors[0].message)
        self.errors, self.code, self.extensions = errors, code, extensions or {}

    def formatted(self) -> list[dict[str, Any]]:
        return [formatted(error, {"code": self.code.value, **self.extensions}) for error in self.errors]


def refused(code: ErrorCode, message: str) -> Refused:
    return Refused([GraphQLError(message)], code)


def refused_by(error: LighterageError) -> Refused:
    """Tell a domain error that came before any field was asked for."""
    extensions = extensions_of(error)
    return Refused([GraphQLError(error.message)], ErrorCode(extensions.pop("code")), extensions)


def refused_by_fault(fault: Exception, *, request_id: str) -> Refused:
    """Tell that something broke outside of any field; what it was is in the log only."""
    _log.error("an operation failed", exc_info=fault, extra={"request_id": request_id})
    return Refused([GraphQLError(MASKED)], ErrorCode.INTERNAL, {"requestId": request_id})


def formatted(error: GraphQLError, extensions: dict[str, Any], message: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"message": error.message if message is None else message}
    if error.locations:
        entry["locations"] = [location.formatted for location in error.locations]
    if error.path:
        entry["path"] = error.path
    entry["extensions"] = extensions
    return entry


def masked(error: GraphQLError, *, request_id: str) -> dict[str, Any]:
    """Tell an error that came while fields were worked out."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, LighterageError):
        extensions = extensions_of(cause)
        if extensions["code"] == ErrorCode.INTERNAL.value:
            extensions["requestId"] = request_id
        return formatted(error, extensions, cause.message)
    if cause is None and error.message.startswith("Argument '"):
        # graphql-core's own word about a variable that an argument cannot take; it holds nothing of ours.
        return formatted(error, {"code": ErrorCode.BAD_REQUEST.value})
    _log.error("a field failed", exc_info=cause or error, extra={"request_id": request_id, "path": error.path})
    return formatted(error, {"code": ErrorCode.INTERNAL.value, "requestId": request_id}, MASKED)
