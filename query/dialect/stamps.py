"""
Time stamps: their text form and the patterns of TO_STRING and TO_TIMESTAMP.

A time stamp keeps the precision and the offset it was written with, so its value here is its text. Pure functions.
"""

import itertools
import re
from datetime import date
from typing import Final

# Source: W3C note on date and time formats, with Ion's rule that less than a day ends in T.
STAMP_PATTERN: Final = (
    r"[0-9]{4}(?:T|-[0-9]{2}(?:T|-[0-9]{2}(?:T?|"
    r"T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))))"
)
_STAMP = re.compile(
    r"(?P<year>\d{4})(?:T|-(?P<month>\d\d)(?:T|-(?P<day>\d\d)"
    r"(?:T?|T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d+)?)?(?P<offset>Z|[+-]\d\d:\d\d)?)))",
    re.ASCII,
)


def normal_stamp(text: str, *, allow_unknown_offset: bool) -> str | None:
    """
    A time stamp in its normal text, or None when the text is not one.

    Args:
        text: As written.
        allow_unknown_offset: Take a time without an offset as one whose offset is not known (`-00:00`).
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    if match["hour"] is None:
        return (text if text.endswith("T") else text + "T") if _is_date(match) else None
    offset = match["offset"]
    if offset is None:
        if not allow_unknown_offset:
            return None
        text += "-00:00"
    is_time = int(match["hour"]) < 24 and int(match["minute"]) < 60 and int(match["second"] or 0) < 60
    is_offset = offset in (None, "Z") or (int(offset[1:3]) < 24 and int(offset[4:6]) < 60)
    return text if is_time and is_offset and _is_date(match) else None


def microseconds(stamp: str) -> int:
    """The moment of a normal time stamp, in microseconds since 1970 in UTC; finer digits are cut off."""
    match = _STAMP.fullmatch(stamp)
    assert match is not None, stamp
    offset = match["offset"] or "Z"
    minutes = 0 if offset == "Z" else int(offset[1:3]) * 60 + int(offset[4:6])
    if offset.startswith("-"):
        minutes = -minutes
    days = date(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)).toordinal() - _EPOCH
    clock = (int(match["hour"] or 0) * 60 + int(match["minute"] or 0) - minutes) * 60 + int(match["second"] or 0)
    fraction = int(((match["fraction"] or ".")[1:] + "000000")[:6])
    return (days * 86_400 + clock) * 1_000_000 + fraction


def _is_date(match: re.Match[str]) -> bool:
    try:
        date(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1))
    except ValueError:
        return False
    return True


_EPOCH: Final = date(1970, 1, 1).toordinal()

# Source: S3 Select user guide, TO_STRING: the pattern symbols.
_FIELD_OF: Final = {
    "y": "year",
    "M": "month",
    "d": "day",
    "a": "half",
    "h": "hour",
    "H": "hour",
    "m": "minute",
    "s": "second",
    "S": "fraction",
    "n": "nano",
    "X": "offset",
    "x": "offset",
}
_LONGEST: Final = {"y": 4, "M": 5, "d": 2, "a": 1, "h": 2, "H": 2, "m": 2, "s": 2, "S": 9, "n": 1, "X": 5, "x": 5}


def pattern_tokens(pattern: str) -> list[tuple[str, bool]]:
    """
    Cut a pattern into (text, is symbol) pairs; a quoted text is a plain one.

    Raises:
        ValueError: A quote is not closed.
    """
    tokens: list[tuple[str, bool]] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "'":
            end = pattern.find("'", at + 1)
            if end < 0:
                raise ValueError(pattern)
            tokens.append((pattern[at + 1 : end] or "'", False))
            at = end + 1
        elif letter.isascii() and letter.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == letter:
                end += 1
            tokens.append((pattern[at:end], True))
            at = end
        else:
            tokens.append((letter, False))
            at += 1
    return tokens


def check_pattern(pattern: str, *, is_parsing: bool) -> str | None:
    """The error code that the pattern earns, or None."""
    try:
        symbols = [text for text, is_symbol in pattern_tokens(pattern) if is_symbol]
    except ValueError:
        return "EvaluatorUnterminatedTimestampFormatPatternToken"
    for symbol in symbols:
        if symbol[0] not in _FIELD_OF:
            return "EvaluatorInvalidTimestampFormatPatternSymbol"
        if len(symbol) > _LONGEST[symbol[0]] or symbol == "yyy":
            return "EvaluatorInvalidTimestampFormatPatternToken"
    if is_parsing:
        return _check_parsing([symbol[0] for symbol in symbols], symbols)
    return None


def _is_whole(letters: set[str]) -> bool:
    """A time stamp has no day without a month, no hour without a day, and always a year."""
    order = ({"y"}, {"M"}, {"d"}, {"H", "h"}, {"m"}, {"s"}, {"S", "n"})
    given = [bool(letters & group) for group in order]
    is_gapless = all(coarser or not finer for coarser, finer in itertools.pairwise(given))
    return is_gapless and (given[3] or not letters & {"X", "x", "a"})


def _check_parsing(letters: list[str], symbols: list[str]) -> str | None:
    if not _is_whole(set(letters)):
        return "EvaluatorInvalidTimestampFormatPattern"
    if "MMMMM" in symbols:
        return "EvaluatorInvalidTimestampFormatPatternSymbolForParsing"
    fields = [_FIELD_OF[letter] for letter in letters]
    if len(set(fields)) != len(fields):
        return "EvaluatorTimestampFormatPatternDuplicateFields"
    if ("h" in letters) != ("a" in letters):
        return "EvaluatorTimestampFormatPatternHourClockAmPmMismatch"
    return None
