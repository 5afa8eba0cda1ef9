"""Which bytes of a file a request is after: Range and its conditions (RFC 9110, 13 and 14). Pure."""

import re
from dataclasses import dataclass

from domain.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From `start` up to `end`, exclusive. `is_partial`: the answer is 206."""

    start: int
    end: int
    is_partial: bool


def parse_range(header: str | None, *, if_range: str | None, etag: str, size: int) -> ByteRange:
    """
    Choose the bytes to send.

    RFC 9110, 14.2: "A server MAY ignore the Range header field." Several ranges and other units are ignored, and so is
    a range whose `If-Range` names another content.

    Raises:
        RangeNotSatisfiable: The range begins behind the end.
    """
    whole = ByteRange(0, size, is_partial=False)
    # 13.1.5: If-Range needs a strong comparison; a date never is one here, since contents never change under an id.
    if header is None or (if_range is not None and if_range.strip() != etag):
        return whole
    match = _RANGE.fullmatch(header.strip().lower().replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return whole
    first, last = match[1], match[2]
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise RangeNotSatisfiable(size=size)
        return ByteRange(size - length, size, is_partial=True)
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return whole  # 14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos."
    if start >= size:
        raise RangeNotSatisfiable(size=size)
    return ByteRange(start, end, is_partial=True)


def is_not_modified(if_none_match: str | None, *, etag: str) -> bool:
    """Tell whether the client has this content already (13.1.2, weak comparison)."""
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag in known
