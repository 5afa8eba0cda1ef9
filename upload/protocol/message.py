"""Requests and answers as values: what both protocols parse and format. No rule of a protocol stands here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.errors import LengthExceeded

Field = tuple[bytes, bytes]
"""A header line, its name in lower case."""

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)  # as many as the parser lets pass
_BODY_LENGTH_UNKNOWN_VERSIONS = frozenset({"2", "3"})


class Headers:
    """
    The header fields of a request, taken before its body is read.

    RFC 9110, 5.3: a recipient "MAY combine multiple field lines within a field section that have the same field name
    into one field line [...] separated by a comma". So a number that comes twice is no number any more, and a list that
    comes in two lines is one.
    """

    __slots__ = ("_values",)

    def __init__(self, lines: Iterable[Field]) -> None:
        values: dict[bytes, bytes] = {}
        for name, value in lines:
            values[name] = values[name] + b", " + value if name in values else value
        self._values = values

    def __contains__(self, name: bytes) -> bool:
        return name in self._values

    def find(self, name: bytes) -> str | None:
        """Give a field's value, each byte one character (as HTTP has it), or None."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """
    A request before its body.

    Attributes:
        path_tail: What follows the address at which uploads are created: an upload's id, or nothing.
        location_path: Path of the address at which uploads are created, as the client sees it.
        location_prefix: What an upload's id is appended to for its address: that path, or a whole URL.
        request_id: Names the request in the server's log.
        received_at: When it came; None where nobody looked.
        body_length: Bytes of the body; 0: there is none; None: the request does not say.
    """

    method: str
    path_tail: str
    headers: Headers
    location_path: str = "/files/"
    location_prefix: str = "/files/"
    body_length: int | None = 0
    request_id: str | None = None
    received_at: datetime | None = None

    @property
    def has_body(self) -> bool:
        return self.body_length != 0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[Field, ...] = ()
    body: bytes = b""


def check_body_fits(body_length: int | None, *, length: int | None) -> None:
    """Raise LengthExceeded for a body longer than its whole upload: nothing must be created for that."""
    if body_length is not None and length is not None and body_length > length:
        raise LengthExceeded(f"a body of {body_length} bytes does not fit into an upload of {length}")


def parse_body_length(headers: Headers, *, http_version: str) -> int | None:
    """
    Tell how long a request's body is: 0 where there is none, None where only its end will tell.

    A Content-Length that is no number tells nothing: the server in front judges the framing.
    """
    # RFC 9112, 6.3: "Transfer-Encoding overrides the Content-Length".
    if b"transfer-encoding" in headers:
        return None
    length = headers.find(b"content-length")
    if length is None:
        return None if http_version in _BODY_LENGTH_UNKNOWN_VERSIONS else 0
    length = length.strip(" \t")
    return int(length) if _DIGITS.fullmatch(length) else None
