"""
Time stamps in the engine: the macros of the date functions, and the SQL of the patterns of TO_STRING and TO_TIMESTAMP.

A time stamp is its text (`query/dialect/stamps.py`), so that its offset and precision stay what they were; only
comparing and calculating goes through the engine's own time stamps.
"""

import re
from typing import Final

from query.dialect.stamps import STAMP_PATTERN, pattern_tokens

_MONTHS: Final = (
    "['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November',"
    " 'December']"
)
# Parts are finer from left to right; a time has at least minutes.
_LEVELS: Final = {"year": 1, "month": 2, "day": 3, "hour": 4, "minute": 4, "second": 5}
_STEP_MAX: Final = 400_000_000_000  # seconds: more than from year 1 to 9999

_BASE: Final = (
    # Filled up to a whole time stamp, which the engine reads; the engine knows no -00:00.
    """s3_full(v) AS CASE
        WHEN strlen(v) = 5 THEN v[1:4] || '-01-01T00:00:00Z'
        WHEN strlen(v) = 8 THEN v[1:7] || '-01T00:00:00Z'
        WHEN strlen(v) <= 11 THEN v[1:10] || 'T00:00:00Z'
        ELSE replace(v, '-00:00', 'Z') END""",
    # The engine takes 24:00 and a blank for a digit; there is no year 0.
    """s3_is_moment(v) AS try_cast(v AS TIMESTAMPTZ) IS NOT NULL AND v >= '0001' AND NOT contains(v, 'T24')""",
    # Most time stamps of a file look like this; the regular expression takes ten times as long.
    """s3_is_common(v) AS v LIKE '____-__-__T__:__:__Z' AND NOT contains(v, ' ') AND s3_is_moment(v)""",
    f"""s3_is_stamp(v) AS regexp_full_match(v, '{STAMP_PATTERN}') AND s3_is_moment(s3_full(v))""",
    """s3_normal(v) AS CASE WHEN strlen(v) = 10 THEN v || 'T' ELSE v END""",
    """s3_stamp(v, p) AS CASE WHEN s3_is_common(v) THEN v WHEN s3_is_stamp(v) THEN s3_normal(v)
        WHEN v IS NOT NULL THEN error('S3:CastFailed:' || p) END""",
    """s3_to_stamp(v, p) AS CASE WHEN s3_is_common(v) THEN v WHEN s3_is_stamp(v) THEN s3_normal(v)
        WHEN v IS NOT NULL THEN error('S3:ValueParseFailure:' || p) END""",
    """s3_instant(v) AS CASE WHEN strlen(v) = 20 THEN epoch_us(CAST(v AS TIMESTAMPTZ))
        ELSE epoch_us(CAST(s3_full(v) AS TIMESTAMPTZ)) END""",
    """s3_text_instant(v, p) AS CASE WHEN s3_is_common(v) THEN epoch_us(try_cast(v AS TIMESTAMPTZ))
        WHEN s3_is_stamp(v) THEN epoch_us(CAST(s3_full(v) AS TIMESTAMPTZ))
        WHEN v IS NOT NULL THEN CAST(error('S3:CastFailed:' || p) AS BIGINT) END""",
    # A date is written without the T that its literal may end in.
    """s3_stamp_text(v) AS CASE WHEN strlen(v) = 11 THEN v[1:10] ELSE v END""",
    """s3_offset(v) AS CASE WHEN strlen(v) <= 11 THEN '-00:00' WHEN ends_with(v, 'Z') THEN 'Z' ELSE right(v, 6) END""",
    # A moment of the engine as text: no fraction where there is none, else without zeros at its end.
    r"""s3_written_moment(t) AS strftime(t, '%Y-%m-%dT%H:%M:%S')
        || CASE WHEN epoch_ns(t) % 1000000000 = 0 THEN ''
           ELSE rtrim('.' || lpad(CAST(epoch_ns(t) % 1000000000 AS VARCHAR), 9, '0'), '0') END || 'Z'""",
    """s3_has_seconds(v) AS strlen(v) > 16 AND v[17:17] = ':'""",
    r"""s3_fraction(v) AS regexp_extract(v, '\.[0-9]+')""",
    """s3_level(v) AS CASE WHEN strlen(v) = 5 THEN 1 WHEN strlen(v) = 8 THEN 2 WHEN strlen(v) <= 11 THEN 3
        WHEN s3_has_seconds(v) THEN 5 ELSE 4 END""",
    # The clock on the wall where the time stamp was made.
    """s3_local(v) AS CAST(CASE WHEN strlen(v) <= 11 THEN s3_full(v)[1:19] WHEN s3_has_seconds(v) THEN v[1:19]
        ELSE v[1:16] || ':00' END AS TIMESTAMP)""",
)

_EXTRACT: Final = (
    "s3_extract_year(v) AS CAST(v[1:4] AS BIGINT)",
    "s3_extract_month(v) AS CASE WHEN strlen(v) = 5 THEN 1 ELSE CAST(v[6:7] AS BIGINT) END",
    "s3_extract_day(v) AS CASE WHEN strlen(v) < 10 THEN 1 ELSE CAST(v[9:10] AS BIGINT) END",
    "s3_extract_hour(v) AS CASE WHEN strlen(v) <= 11 THEN 0 ELSE CAST(v[12:13] AS BIGINT) END",
    "s3_extract_minute(v) AS CASE WHEN strlen(v) <= 11 THEN 0 ELSE CAST(v[15:16] AS BIGINT) END",
    "s3_extract_second(v) AS CASE WHEN s3_has_seconds(v) THEN CAST(v[18:19] AS BIGINT) WHEN v IS NOT NULL THEN 0 END",
    """s3_extract_timezone_hour(v) AS CASE WHEN v IS NULL THEN NULL WHEN s3_offset(v) = 'Z' THEN 0
        ELSE CAST(s3_offset(v)[1:3] AS BIGINT) END""",
    """s3_extract_timezone_minute(v) AS CASE WHEN v IS NULL THEN NULL WHEN s3_offset(v) = 'Z' THEN 0
        ELSE CAST(s3_offset(v)[1:1] || s3_offset(v)[5:6] AS BIGINT) END""",
)

_ADD_BASE: Final = (
    """s3_written(t, level, fraction, offs) AS CASE level WHEN 1 THEN strftime(t, '%Y') || 'T'
        WHEN 2 THEN strftime(t, '%Y-%m') || 'T' WHEN 3 THEN strftime(t, '%Y-%m-%d') || 'T'
        WHEN 4 THEN strftime(t, '%Y-%m-%dT%H:%M') || offs
        ELSE strftime(t, '%Y-%m-%dT%H:%M:%S') || fraction || offs END""",
    """s3_in_range(t, v, level, p) AS CASE WHEN year(t) BETWEEN 1 AND 9999
        THEN s3_written(t, greatest(level, s3_level(v)), s3_fraction(v), s3_offset(v))
        WHEN v IS NOT NULL AND t IS NOT NULL THEN error('S3:IllegalSqlFunctionArgument:' || p) END""",
)
_UNITS: Final = {"year": 31_536_000, "month": 2_592_000, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def _add(part: str) -> str:
    most = _STEP_MAX // _UNITS[part]
    return (
        f"s3_add_{part}(n, v, p) AS CASE WHEN n BETWEEN -{most} AND {most}"
        f" THEN s3_in_range(s3_local(v) + n * INTERVAL 1 {part.upper()}, v, {_LEVELS[part]}, p)"
        f" WHEN n IS NOT NULL AND v IS NOT NULL THEN error('S3:IllegalSqlFunctionArgument:' || p) END"
    )


# Source: user guide, DATE_DIFF: "need to be at least 24h apart to be 1 day apart"; whole units, of moments in UTC.
_DIFF: Final = tuple(
    f"s3_diff_{part}(a, b) AS datesub('{part}', make_timestamp(a), make_timestamp(b))" for part in _LEVELS
)

_NUMBER_OF: Final = {
    "M": "month",
    "d": "day",
    "H": "hour",
    "m": "minute",
    "s": "second",
}


def symbol_sql(symbol: str, stamp: str) -> str:
    """SQL that writes one symbol of a TO_STRING pattern."""
    letter = symbol[0]
    if letter == "y":
        year = f"s3_extract_year({stamp})"
        return {
            "y": f"CAST({year} AS VARCHAR)",
            "yy": f"lpad(CAST({year} % 100 AS VARCHAR), 2, '0')",
        }.get(symbol, f"{stamp}[1:4]")
    if letter == "M" and len(symbol) > 2:
        name = f"{_MONTHS}[s3_extract_month({stamp})]"
        return {"MMM": f"{name}[1:3]", "MMMM": name}.get(symbol, f"{name}[1:1]")
    if letter in _NUMBER_OF:
        return _padded(f"s3_extract_{_NUMBER_OF[letter]}({stamp})", symbol)
    hour = f"s3_extract_hour({stamp})"
    match letter:
        case "h":
            return _padded(f"(({hour} + 11) % 12 + 1)", symbol)
        case "a":
            return f"CASE WHEN {hour} < 12 THEN 'AM' ELSE 'PM' END"
        case "S":
            return f"rpad(s3_fraction({stamp})[2:], {len(symbol)}, '0')[1:{len(symbol)}]"
        case "n":
            return f"CAST(CAST(rpad(s3_fraction({stamp})[2:], 9, '0')[1:9] AS BIGINT) AS VARCHAR)"
    return _offset_sql(symbol, stamp)


def _padded(number: str, symbol: str) -> str:
    text = f"CAST({number} AS VARCHAR)"
    return f"lpad({text}, 2, '0')" if len(symbol) == 2 else text


def _offset_sql(symbol: str, stamp: str) -> str:
    plain = f"replace(replace(s3_offset({stamp}), '-00:00', '+00:00'), 'Z', '+00:00')"
    text = {1: f"{plain}[1:3]", 2: f"replace({plain}, ':', '')", 4: f"replace({plain}, ':', '')"}.get(
        len(symbol), plain
    )
    if symbol[0] == "x":
        return text
    return f"CASE WHEN {plain} = '+00:00' THEN 'Z' ELSE {text} END"


# What each symbol of TO_TIMESTAMP reads.
_READS: Final = {
    "y": "[0-9]{1,4}",
    "yy": "[0-9]{2}",
    "yyyy": "[0-9]{4}",
    "M": "[0-9]{1,2}",
    "MM": "[0-9]{2}",
    "MMM": "[A-Za-z]{3}",
    "MMMM": "[A-Za-z]{3,9}",
    "d": "[0-9]{1,2}",
    "dd": "[0-9]{2}",
    "a": "[AaPp][Mm]",
    "h": "[0-9]{1,2}",
    "hh": "[0-9]{2}",
    "H": "[0-9]{1,2}",
    "HH": "[0-9]{2}",
    "m": "[0-9]{1,2}",
    "mm": "[0-9]{2}",
    "s": "[0-9]{1,2}",
    "ss": "[0-9]{2}",
    "n": "[0-9]{1,9}",
    "X": "(?:Z|[-+][0-9]{2})",
    "x": "[-+][0-9]{2}",
}


def parsing_sql(pattern: str, text: str, pos: int) -> str:
    """SQL that reads a text by a pattern, or raises ValueParseFailure."""
    shape = ""
    groups: dict[str, tuple[str, int]] = {}
    for token, is_symbol in pattern_tokens(pattern):
        if not is_symbol:
            shape += re.escape(token)
            continue
        groups[token[0]] = (token, len(groups) + 1)
        shape += f"({_reading(token)})"
    regex = "'" + shape.replace("'", "''") + "'"
    found = {
        letter: (token, f"regexp_extract({text}, {regex}, {number})") for letter, (token, number) in groups.items()
    }
    failed = f"error('S3:ValueParseFailure:{pos}')"
    return (
        f"(CASE WHEN regexp_full_match({text}, {regex}) THEN s3_to_stamp({_composed(found)}, {pos})"
        f" WHEN {text} IS NOT NULL THEN {failed} END)"
    )


def _reading(token: str) -> str:
    if token[0] == "S":
        return f"[0-9]{{{len(token)}}}"
    if token[0] in "xX" and len(token) > 1:
        zone = "[-+][0-9]{4}" if len(token) in (2, 4) else "[-+][0-9]{2}:[0-9]{2}"
        return f"(?:Z|{zone})" if token[0] == "X" else zone
    return _READS[token]


def _composed(found: dict[str, tuple[str, str]]) -> str:
    def two(letter: str) -> str:
        return f"lpad({found[letter][1]}, 2, '0')"

    written, year = found["y"]
    parts = [
        f"CASE WHEN {year} < '70' THEN '20' ELSE '19' END || {year}" if written == "yy" else f"lpad({year}, 4, '0')"
    ]
    if "M" in found:
        token, month = found["M"]
        number = (
            f"CAST(list_position(list_transform({_MONTHS}, lambda m: lower(m[1:3])), lower({month}[1:3])) AS VARCHAR)"
        )
        parts.append("'-' || " + (f"lpad({number}, 2, '0')" if len(token) > 2 else two("M")))
    if "d" in found:
        parts.append("'-' || " + two("d"))
    parts.append("'T'")
    if "H" in found or "h" in found:
        hour = two("H") if "H" in found else _half_day(found)
        parts.append(f"{hour} || ':' || {two('m') if 'm' in found else repr('00')}")
        if "s" in found:
            parts.append("':' || " + two("s") + _fraction(found))
        parts.append(_zone(found))
    return " || ".join(parts)


def _half_day(found: dict[str, tuple[str, str]]) -> str:
    hour = f"CAST({found['h'][1]} AS INTEGER)"
    afternoon = f"CASE WHEN lower({found['a'][1]}) = 'pm' THEN 12 ELSE 0 END"
    # 13 o'clock is no hour of this clock: 99 is refused with the rest of the text.
    number = f"CASE WHEN {hour} BETWEEN 1 AND 12 THEN {hour} % 12 + {afternoon} ELSE 99 END"
    return f"lpad(CAST({number} AS VARCHAR), 2, '0')"


def _fraction(found: dict[str, tuple[str, str]]) -> str:
    if "S" in found:
        return f" || '.' || {found['S'][1]}"
    return f" || '.' || lpad({found['n'][1]}, 9, '0')" if "n" in found else ""


def _zone(found: dict[str, tuple[str, str]]) -> str:
    if "X" not in found and "x" not in found:
        return "'-00:00'"
    token, zone = found["X"] if "X" in found else found["x"]
    if len(token) == 1:
        return f"CASE WHEN {zone} = 'Z' THEN 'Z' ELSE {zone} || ':00' END"
    if len(token) in (2, 4):
        return f"CASE WHEN {zone} = 'Z' THEN 'Z' ELSE {zone}[1:3] || ':' || {zone}[4:5] END"
    return zone


def statements() -> tuple[str, ...]:
    """The macros, each after the ones it uses."""
    return (*_BASE, *_EXTRACT, *_ADD_BASE, *(_add(part) for part in _LEVELS), *_DIFF)
