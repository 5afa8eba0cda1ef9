"""
Structured fields (RFC 9651), as far as uploads need them: items and dictionaries of integers, booleans and bytes.

A value that does not parse is None: the IETF draft says of each of its fields "Other values MUST cause the entire
header field to be ignored".
"""

import base64
import binascii
import re

INTEGER_MAX = 999_999_999_999_999  # RFC 9651, 3.3.1: "a maximum of fifteen digits"

_KEY = r"[a-z*][a-z0-9_.*-]*"
_BARE_ITEM = (
    r"(?:-?[0-9]{1,12}\.[0-9]{1,3}"  # decimal
    r"|@?-?[0-9]{1,15}(?![0-9.])"  # integer, date
    r'|%?"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'  # string, display string
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"  # token
    r"|:[A-Za-z0-9+/=]*:"  # byte sequence
    r"|\?[01])"  # boolean
)
_PARAMETERS = rf"(?:;[ ]*{_KEY}(?:={_BARE_ITEM})?)*"
_ITEM = re.compile(rf"[ ]*({_BARE_ITEM}){_PARAMETERS}[ ]*", re.ASCII)
_MEMBER = re.compile(rf"({_KEY})(?:=({_BARE_ITEM}))?{_PARAMETERS}", re.ASCII)
_COMMA = re.compile(r"[ \t]*,[ \t]*", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,15}", re.ASCII)
_MEMBERS_MAX = 64


def parse_integer(text: str) -> int | None:
    """Parse an item that is an integer of 0 or more; parameters are of no account."""
    match = _ITEM.fullmatch(text)
    return int(match[1]) if match is not None and _INTEGER.fullmatch(match[1]) else None


def parse_boolean(text: str) -> bool | None:
    match = _ITEM.fullmatch(text)
    return match[1] == "?1" if match is not None and match[1] in {"?0", "?1"} else None


def parse_dictionary(text: str) -> dict[str, str] | None:
    """
    Parse a dictionary of items into bare items as they are written, `?1` where none is; the last of equal keys counts.

    Inner lists are not known here; a dictionary with one does not parse.
    """
    members: dict[str, str] = {}
    text = text.strip(" ")
    position, end = 0, len(text)
    while position < end and len(members) < _MEMBERS_MAX:
        member = _MEMBER.match(text, position)
        if member is None:
            return None
        members[member[1]] = member[2] or "?1"
        position = member.end()
        if position == end:
            return members
        comma = _COMMA.match(text, position)
        if comma is None or comma.end() == end:
            return None
        position = comma.end()
    return None if position < end else members


def parse_bytes(bare_item: str) -> bytes | None:
    """Give the content of a byte sequence, or None for another bare item."""
    if len(bare_item) < 2 or not bare_item.startswith(":"):
        return None
    try:
        return base64.b64decode(bare_item[1:-1], validate=True)
    except (binascii.Error, ValueError):
        return None


def format_boolean(claim: bool) -> bytes:
    return b"?1" if claim else b"?0"


def format_integers(members: dict[str, int]) -> bytes:
    """Write a dictionary of integers; what is larger than an integer can be is written as the largest."""
    return ", ".join(f"{key}={min(number, INTEGER_MAX)}" for key, number in members.items()).encode()
