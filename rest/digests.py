"""Digest fields (RFC 9530) of downloads: which are wanted, and how they are written."""

import base64
import re

_WANTED = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)[ \t]*=[ \t]*(10|[0-9])[ \t]*", re.ASCII)
_ITEMS_MAX = 32


def wants_sha256(field: str | None, *, by_default: bool) -> bool:
    """
    Read `Want-Repr-Digest` or `Want-Content-Digest`.

    RFC 9530, 4: a dictionary of preferences from 0, "not acceptable", to 10. Other algorithms than sha-256 are not to
    be had here, so a client that lists only those gets none; a field that is no dictionary is ignored.
    """
    if field is None:
        return by_default
    matches = [_WANTED.fullmatch(item) for item in field.split(",", _ITEMS_MAX)]
    wanted = {match[1]: int(match[2]) for match in matches if match is not None}
    if len(wanted) < len(matches):
        return by_default
    return wanted.get("sha-256", 0) > 0


def format_sha256(digest: bytes) -> str:
    """Write a digest as a dictionary with one byte sequence."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"
