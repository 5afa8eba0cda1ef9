"""
Typed tree to Trino's SQL (Athena's engine 3 is the same), over an external table whose columns are all text.

Pure. What Trino would decide otherwise than the dialect is not translated, and is run by our own engine: `translate`
gives None for it. Literals are the only text of the user in what comes out.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, cast

from query.dialect.check import Query
from query.dialect.nodes import (
    Aggregate,
    Binary,
    Call,
    Case,
    Cast,
    Column,
    Expr,
    In,
    Is,
    Like,
    Literal,
    Logic,
    Missing,
    Type,
    Unary,
)
from query.formats import Compression, Header, InputFormat, Kind
from query.lower import may_raise

_TYPES: Final = {
    Type.FIELD: "VARCHAR",
    Type.STRING: "VARCHAR",
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.BOOL: "BOOLEAN",
}
_NUMBER: Final = "^ *[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]{1,4})? *$"
_WHOLE: Final = "^ *[-+]?[0-9]+ *$"
FAULTS: Final = {
    "INVALID_CAST_ARGUMENT": "CastFailed",
    "DIVISION_BY_ZERO": "IllegalSqlFunctionArgument",
    "NUMERIC_VALUE_OUT_OF_RANGE": "IntegerOverflow",
    "EXCEEDED_TIME_LIMIT": "QueryTimeout",
    "EXCEEDED_CPU_LIMIT": "QueryTimeout",
    "EXCEEDED_SCAN_LIMIT": "OverMaxScanSize",
    "EXCEEDED_GLOBAL_MEMORY_LIMIT": "OverMaxMemory",
    "EXCEEDED_LOCAL_MEMORY_LIMIT": "OverMaxMemory",
}
"""Trino's names of errors, in the dialect's; others are no fault of the statement."""


class _Untranslated(Exception):
    """Something is left to our own engine."""


def is_readable(given: InputFormat) -> bool:
    """Tell whether a table reads a file just as we do: CSV of one line a record, whole, without comments."""
    return (
        given.kind is Kind.CSV
        and given.compression is Compression.NONE
        and given.record_delimiter == "\n"
        and not given.comment
        and not given.allow_quoted_record_delimiter
        and given.scan_range is None
    )


def create_table(table: str, *, width: int, location: str, given: InputFormat) -> str:
    """Write the statement that makes an external table over the prefix in which the file is alone."""
    columns = ", ".join(f"c{index} VARCHAR" for index in range(width))
    options = {
        "format": "CSV",
        "external_location": location,
        "csv_separator": given.delimiter,
        "csv_quote": given.quote,
        "csv_escape": given.escape,
    }
    written = ", ".join(f"{name} = {quoted(value)}" for name, value in options.items())
    if given.header is not Header.NONE:
        written += ", skip_header_line_count = 1"
    return f"CREATE TABLE {table} ({columns}) WITH ({written})"


def drop_table(table: str) -> str:
    return f"DROP TABLE IF EXISTS {table}"


def translate(query: Query, table: str, *, width: int) -> str | None:
    """
    Write a checked query as Trino's.

    Args:
        table: As it is written in Trino.
        width: How many columns it has.

    Returns:
        None where Trino would not give the same: `*`, which gives each record the fields that it has; LIMIT, for a
        table has no order; decimals and time stamps, which keep here how they are written; what it has no word for.
    """
    if not query.outputs or query.unnest or (query.limit is not None and not query.is_aggregate):
        return None
    writer = _Writer(width)
    try:
        outputs = ", ".join(writer.value(output.expr) for output in query.outputs)
        where = "" if query.where is None else f" WHERE {writer.truth(query.where)}"
    except _Untranslated:
        return None
    limit = " LIMIT 0" if query.limit == 0 else ""
    return f"SELECT {outputs} FROM {table}{where}{limit}"  # noqa: S608  # built from the tree


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Writer:
    def __init__(self, width: int) -> None:
        self._width = width

    def value(self, node: Expr) -> str:
        rule = _RULES.get(type(node))
        if rule is None:
            raise _Untranslated
        return rule(self, node)

    def truth(self, node: Expr) -> str:
        """A condition whose terms are looked at from left to right, so that a term protects the casts behind it."""
        if isinstance(node, Logic):
            is_every = node.op == "AND"
            *guards, last = [self.truth(term) for term in node.terms]
            if is_every:
                whens = " ".join(f"WHEN {guard} IS DISTINCT FROM TRUE THEN FALSE" for guard in guards)
            else:
                whens = " ".join(f"WHEN {guard} THEN TRUE" for guard in guards)
            # The result is true exactly where the condition is: WHERE asks for no more.
            return f"(CASE {whens} ELSE {last} END)"
        return self.value(node)

    def _literal(self, node: Literal) -> str:
        value = node.value
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int):
            return f"BIGINT '{value}'"
        if isinstance(value, Decimal) and node.type is Type.FLOAT:
            return f"DOUBLE '{value}'"
        if isinstance(value, Decimal) or node.type is Type.TIMESTAMP or "\0" in str(value):
            raise _Untranslated
        return quoted(str(value))

    def _missing(self, _node: Missing) -> str:
        return "NULL"

    def _column(self, node: Column) -> str:
        return f"c{node.index}" if node.index < self._width else "CAST(NULL AS VARCHAR)"

    def _unary(self, node: Unary) -> str:
        return f"({'NOT ' if node.op == 'NOT' else '-'}{self.value(node.operand)})"

    def _binary(self, node: Binary) -> str:
        if node.type is Type.DECIMAL or Type.TIMESTAMP in (node.left.type, node.right.type):
            raise _Untranslated
        left, right = self._side(node.left, node.right), self._side(node.right, node.left)
        if node.type is Type.FLOAT and node.op in "+-*/%":
            left, right = f"CAST({left} AS DOUBLE)", f"CAST({right} AS DOUBLE)"
            if node.op in "/%":
                raise _Untranslated  # by zero it gives infinity there, and an error here
        return f"({left} {node.op} {right})"

    def _side(self, node: Expr, other: Expr) -> str:
        """A side of an operator; a decimal literal beside a double is one itself, as here."""
        if isinstance(node, Literal) and isinstance(node.value, Decimal) and other.type is Type.FLOAT:
            return f"DOUBLE '{node.value}'"
        return self.value(node)

    def _logic(self, node: Logic) -> str:
        if any(may_raise(term) for term in node.terms):
            raise _Untranslated  # nobody promises which term is looked at first, or at all
        return "(" + f" {node.op} ".join(self.value(term) for term in node.terms) + ")"

    def _in(self, node: In) -> str:
        if node.operand.type is Type.TIMESTAMP:
            raise _Untranslated
        items = ", ".join(self.value(item) for item in node.items)
        return f"({self.value(node.operand)} {'NOT ' if node.is_negated else ''}IN ({items}))"

    def _like(self, node: Like) -> str:
        escape = "" if node.escape is None else f" ESCAPE {self.value(node.escape)}"
        negated = "NOT " if node.is_negated else ""
        return f"({self.value(node.operand)} {negated}LIKE {self.value(node.pattern)}{escape})"

    def _is(self, node: Is) -> str:
        if node.is_missing and not isinstance(node.operand, Column):
            raise _Untranslated
        return f"({self.value(node.operand)} IS {'NOT ' if node.is_negated else ''}NULL)"

    def _case(self, node: Case) -> str:
        whens = " ".join(f"WHEN {self.truth(when.condition)} THEN {self.value(when.result)}" for when in node.whens)
        default = "" if node.default is None else f" ELSE {self.value(node.default)}"
        return f"(CASE {whens}{default} END)"

    def _cast(self, node: Cast) -> str:
        source, target = node.operand.type, node.type
        if target not in _TYPES or source not in (*_TYPES, Type.UNKNOWN):
            raise _Untranslated
        value = self.value(node.operand)
        if source not in (Type.FIELD, Type.STRING):
            if (source, target) not in _EXACT and source is not Type.UNKNOWN:
                raise _Untranslated
            return f"CAST({value} AS {_TYPES[target]})"
        # Java's parsers take more than the dialect (1d, 0x1p3, NaN): what does not look right is made to fail.
        failing = f"CAST({value} || '!' AS {_TYPES[target]})"
        if target is Type.BOOL:
            return f"(CASE lower({value}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE ELSE {failing} END)"
        if target in (Type.INT, Type.FLOAT):
            pattern = _WHOLE if target is Type.INT else _NUMBER
            parsed = f"CAST(trim({value}) AS {_TYPES[target]})"
            finite = "" if target is Type.INT else f" AND is_finite({parsed})"
            return f"(CASE WHEN regexp_like({value}, {quoted(pattern)}){finite} THEN {parsed} ELSE {failing} END)"
        return value

    def _call(self, node: Call) -> str:
        args = [self.value(arg) for arg in node.args]
        match node.name:
            case "LOWER" | "UPPER":
                return f"{node.name.lower()}({args[0]})"
            case "CHAR_LENGTH":
                return f"length({args[0]})"
            case "COALESCE":
                return f"coalesce({', '.join(args)})"
            case "TRIM":
                characters = args[1] if len(args) > 1 else quoted(" ")
                return f"trim({node.keyword} {characters} FROM {args[0]})"
            case "SUBSTRING" if len(args) == 2 and isinstance(start := _whole(node.args[1]), int):
                return f"substr({args[0]}, {max(start, 1)})"
        raise _Untranslated

    def _aggregate(self, node: Aggregate) -> str:
        if node.arg is None:
            return "count(*)"
        argument = self.value(node.arg)
        # The mean of integers is exact here, and a double there.
        is_text = node.name in ("MIN", "MAX") and node.arg.type in (Type.FIELD, Type.STRING)
        if node.name == "COUNT" or is_text or node.type in (Type.INT, Type.FLOAT):
            return f"{node.name.lower()}({argument})"
        raise _Untranslated


def _whole(node: Expr) -> int | None:
    is_number = isinstance(node, Literal) and isinstance(node.value, int) and not isinstance(node.value, bool)
    return cast("int", cast("Literal", node).value) if is_number else None


_EXACT: Final = frozenset(
    {(Type.INT, Type.FLOAT), (Type.INT, Type.INT), (Type.FLOAT, Type.FLOAT)}
    | {
        (Type.INT, Type.STRING),
        (Type.BOOL, Type.BOOL),
        (Type.BOOL, Type.STRING),
    }
)
# A cast, because each rule takes the one node type that it stands for.
_RULES: Final = cast(
    "dict[type, Callable[[_Writer, Expr], str]]",
    {
        Literal: _Writer._literal,
        Missing: _Writer._missing,
        Column: _Writer._column,
        Unary: _Writer._unary,
        Binary: _Writer._binary,
        Logic: _Writer._logic,
        In: _Writer._in,
        Like: _Writer._like,
        Is: _Writer._is,
        Case: _Writer._case,
        Cast: _Writer._cast,
        Call: _Writer._call,
        Aggregate: _Writer._aggregate,
    },
)
