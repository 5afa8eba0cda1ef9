"""
The macros that give the engine the dialect's casts and text rules.

They are made once per connection, before it is locked. An error is raised as `S3:<code>:<offset in the SQL>`; the code
is AWS's. Everything here is text for the engine.
"""

from typing import Final

from query import stampformats

_NUMBER: Final = r"[ ]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?[ ]*"
_WHOLE: Final = r"[ ]*[-+]?[0-9]+[ ]*"
_SCALES: Final = (12, 24)

_CASTS: Final = (
    # The engine's own casts take 1_000, 0x10, 1e3 as an integer and nan, which the dialect does not. Most
    # texts are what the engine would write itself: those are let through without the regular expression.
    f"""s3_int(v, p) AS CASE
        WHEN s3_is_plain_int(v) THEN try_cast(v AS BIGINT)
        WHEN regexp_full_match(v, '{_WHOLE}') THEN coalesce(try_cast(v AS BIGINT), error('S3:CastFailed:' || p))
        WHEN v IS NOT NULL THEN CAST(error('S3:CastFailed:' || p) AS BIGINT) END""",
    """s3_float(v, p) AS CASE
        WHEN isfinite(try_cast(v AS DOUBLE)) AND NOT contains(v, '_') THEN try_cast(v AS DOUBLE)
        WHEN v IS NOT NULL THEN CAST(error('S3:CastFailed:' || p) AS DOUBLE) END""",
    *(
        f"""s3_decimal{scale}(v, p) AS CASE
        WHEN s3_is_cents(v) THEN CAST(try_cast(v AS DECIMAL(18,2)) AS DECIMAL(38,{scale}))
        WHEN s3_is_plain_int(v) AND strlen(v) <= {38 - scale} THEN CAST(try_cast(v AS BIGINT) AS DECIMAL(38,{scale}))
        WHEN regexp_full_match(v, ' *[-+]?([0-9]{{1,{38 - scale}}}(\\.[0-9]{{0,{scale}}})?|\\.[0-9]{{1,{scale}}}) *')
            THEN coalesce(try_cast(v AS DECIMAL(38,{scale})), error('S3:CastFailed:' || p))
        WHEN regexp_full_match(v, '{_NUMBER}') THEN s3_long_decimal{scale}(v, p)
        WHEN v IS NOT NULL THEN CAST(error('S3:CastFailed:' || p) AS DECIMAL(38,{scale})) END"""
        for scale in _SCALES
    ),
    """s3_bool(v, p) AS CASE lower(v) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE
        ELSE CASE WHEN v IS NOT NULL THEN CAST(error('S3:CastFailed:' || p) AS BOOLEAN) END END""",
    """s3_whole(v, p) AS coalesce(try_cast(trunc(v) AS BIGINT),
        CASE WHEN v IS NOT NULL THEN CAST(error('S3:IntegerOverflow:' || p) AS BIGINT) END)""",
)

# Numbers that the narrow form does not hold: with an exponent, or with more digits than the scale keeps.
_LONG_DECIMALS: Final = tuple(
    f"""s3_long_decimal{scale}(v, p) AS CASE
        WHEN try_cast(v AS DECIMAL(38,{scale})) IS NOT NULL AND s3_scale(v) <= {scale}
            THEN try_cast(v AS DECIMAL(38,{scale}))
        ELSE CAST(error('S3:NumberFormatError:' || p) AS DECIMAL(38,{scale})) END"""
    for scale in _SCALES
)

_NUMBERS: Final = (
    """s3_by_zero(p) AS error('S3:IllegalSqlFunctionArgument:' || p)""",
    """s3_int_div(a, b, p) AS CASE WHEN b = 0 AND a IS NOT NULL THEN CAST(s3_by_zero(p) AS BIGINT)
        WHEN a = -9223372036854775808 AND b = -1 THEN CAST(error('S3:IntegerOverflow:' || p) AS BIGINT)
        ELSE a // b END""",
    """s3_int_mod(a, b, p) AS CASE WHEN b = 0 AND a IS NOT NULL THEN CAST(s3_by_zero(p) AS BIGINT)
        WHEN b = -1 THEN CASE WHEN a IS NOT NULL THEN 0 END ELSE a % b END""",
    """s3_float_div(a, b, p) AS CASE WHEN b = 0 AND a IS NOT NULL THEN CAST(s3_by_zero(p) AS DOUBLE) ELSE a / b END""",
    """s3_float_mod(a, b, p) AS CASE WHEN b = 0 AND a IS NOT NULL THEN CAST(s3_by_zero(p) AS DOUBLE) ELSE a % b END""",
    # What the engine writes itself needs no second look; two digits are what most decimals have.
    """s3_is_cents(v) AS CAST(try_cast(v AS DECIMAL(18,2)) AS VARCHAR) = v""",
    """s3_is_plain_int(v) AS CAST(try_cast(v AS BIGINT) AS VARCHAR) = v""",
    # How many fractional digits a text is written with; an exponent moves the point.
    r"""s3_scale(v) AS CASE WHEN s3_is_cents(v) THEN 2 WHEN s3_is_plain_int(v) THEN 0 WHEN contains(lower(v), 'e')
        THEN greatest(0, strlen(regexp_extract(v, '\.([0-9]*)', 1))
            - CAST(regexp_extract(v, '[eE]([-+]?[0-9]+)', 1) AS INTEGER))
        WHEN contains(v, '.') THEN strlen(regexp_extract(v, '\.([0-9]*)', 1)) ELSE 0 END""",
    r"""s3_plain(v) AS regexp_replace(CAST(v AS VARCHAR), '\.?0+$', '')""",
    """s3_scaled(v, digits, scale) AS left(CAST(v AS VARCHAR),
        CAST(strlen(CAST(v AS VARCHAR)) - (scale - digits) - CASE WHEN digits = 0 THEN 1 ELSE 0 END AS BIGINT))""",
    # As Python and Java write a double: 1.0, 0.1, 1e+20.
    """s3_float_text(v) AS CAST(v AS VARCHAR)""",
)

_TEXTS: Final = (
    """s3_substring_from(v, start) AS CASE WHEN start IS NOT NULL THEN substring(v, greatest(start, 1)) END""",
    """s3_substring(v, start, n, p) AS CASE WHEN n < 0 THEN error('S3:IllegalSqlFunctionArgument:' || p)
        WHEN start IS NOT NULL THEN substring(v, greatest(start, 1), n) END""",
)

_JSON: Final = (
    # The text of a JSON value; one without escapes is there to be taken.
    r"""s3_json_text(j) AS CASE WHEN contains(j, '\') OR j = 'null' OR starts_with(j, ' ')
        THEN json_extract_string(j, '$') ELSE trim(CAST(j AS VARCHAR), '"') END""",
    """s3_present(j) AS CASE WHEN j IS NULL THEN error('S3:Absent:0') ELSE j END""",
    """s3_is_json(j) AS CASE WHEN json_valid(j) THEN TRUE ELSE CAST(error('S3:JSONParsingError:0') AS BOOLEAN) END""",
    """s3_spellings(j, lowered) AS list_filter(json_keys(j), lambda k: lower(k) = lowered)""",
    """s3_pointer(k) AS '/' || replace(replace(k, '~', '~0'), '/', '~1')""",
    """s3_member(j, lowered, p) AS CASE len(s3_spellings(j, lowered)) WHEN 0 THEN NULL
        WHEN 1 THEN json_extract(j, s3_pointer(s3_spellings(j, lowered)[1]))
        ELSE CASE WHEN j IS NOT NULL THEN CAST(error('S3:AmbiguousFieldName:' || p) AS JSON) END END""",
    # A wildcard that fits nothing still gives one record, which is missing.
    """s3_items(j) AS CASE WHEN json_type(j) = 'ARRAY' AND json_array_length(j) > 0 THEN json_extract(j, '$[*]')
        ELSE [CAST(NULL AS JSON)] END""",
    """s3_values(j) AS CASE WHEN json_type(j) = 'OBJECT' AND len(json_keys(j)) > 0 THEN json_extract(j, '$.*')
        ELSE [CAST(NULL AS JSON)] END""",
    """s3_is_number(j) AS json_type(j) IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT')""",
)


def statements() -> list[str]:
    """The statements that make the macros, each after the ones it uses."""
    ordered = (*_NUMBERS, *_LONG_DECIMALS, *_CASTS, *_TEXTS, *_JSON, *stampformats.statements())
    return [f"CREATE MACRO {text}" for text in ordered]
