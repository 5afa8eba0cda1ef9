"""
Typed tree to the SQL of the engine.

Input is the checker's tree, which names columns by number only; the output names them `c0`, `c1`, ... and holds no
text of the user but literals, quoted. The casts and the text rules are macros (`query/macros.py`), which raise the
dialect's error codes as `S3:<code>:<place>`. Reading files and running anything must never live here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

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
    Member,
    Missing,
    Type,
    Unary,
    walk,
)
from query.dialect.stamps import microseconds, pattern_tokens
from query.stampformats import parsing_sql, symbol_sql
from query.views import View, quoted, step_sql

SCALE_NARROW: Final = 12  # fractional digits of every decimal at first
SCALE_WIDE: Final = 24  # and of the second attempt, when a value has more
_SHORT: Final = 24  # characters: columns and small literals may be repeated
_MOVING: Final = frozenset({"+", "-", "*", "/", "%"})


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a lowering depends on besides the tree.

    Attributes:
        scale: Fractional digits of decimals.
        now: The time stamp that UTCNOW() gives.
    """

    scale: int = SCALE_NARROW
    now: str = "1970-01-01T00:00:00.000Z"


class Lowering:
    """Lowers the expressions of one query under one setting, for one view of the file."""

    def __init__(self, setting: Setting, view: View) -> None:
        self._setting = setting
        self._view = view
        self._names = 0

    def value(self, node: Expr) -> str:
        """SQL that gives the value: BOOLEAN, BIGINT, DOUBLE, DECIMAL, JSON, else VARCHAR."""
        return _RULES[type(node)](self, node)

    def truth(self, node: Expr) -> str:
        """SQL that is true exactly where the condition is true; evaluates no more terms than it must."""
        if isinstance(node, Logic):
            return self._ordered(node, self.truth, "AND")
        if isinstance(node, Unary) and node.op == "NOT":
            return self.falsity(node.operand)
        return self.value(node)

    def falsity(self, node: Expr) -> str:
        """SQL that is true exactly where the condition is false."""
        if isinstance(node, Logic):
            return self._ordered(node, self.falsity, "OR")
        if isinstance(node, Unary) and node.op == "NOT":
            return self.truth(node.operand)
        return f"(NOT {self.value(node)})"

    def _ordered(self, node: Logic, lower: Callable[[Expr], str], every: str) -> str:
        # The engine reorders the terms of a plain AND by what they cost, and would run a cast that the
        # dialect protects with the term before it. CASE keeps the order.
        terms = [lower(term) for term in node.terms]
        is_every = node.op == every
        if not any(may_raise(term) for term in node.terms[1:]):
            return "(" + (" AND " if is_every else " OR ").join(terms) + ")"
        if is_every:
            guards = " ".join(f"WHEN ({term}) IS NOT TRUE THEN FALSE" for term in terms[:-1])
        else:
            guards = " ".join(f"WHEN {term} THEN TRUE" for term in terms[:-1])
        return f"(CASE {guards} ELSE {terms[-1]} END)"

    # ---- leaves

    def _literal(self, node: Literal) -> str:
        match node.value:
            case None:
                return "NULL"
            case bool():
                return "TRUE" if node.value else "FALSE"
            case int():
                return f"CAST({node.value} AS BIGINT)"
            case Decimal() if node.type is Type.FLOAT:
                return f"CAST('{node.value}' AS DOUBLE)"
            case Decimal():
                return self._decimal_literal(node.value)
        return quoted(str(node.value))

    def _decimal_literal(self, value: Decimal) -> str:
        return f"CAST('{value:f}' AS DECIMAL(38,{self._setting.scale}))"

    def _missing(self, _node: Missing) -> str:
        return "NULL"

    def _column(self, node: Column) -> str:
        column = self._view.column(node)
        return f"CAST({column} AS {self._engine_type(node.type)})" if node.type is Type.DECIMAL else column

    def _member(self, node: Member) -> str:
        if node.base is None:
            return self._view.member(node.steps)
        value = self.value(node.base)
        for step in node.steps:
            value = step_sql(value, step)
        return value

    # ---- operators

    def _unary(self, node: Unary) -> str:
        if node.op == "NOT":
            return f"(NOT {self.value(node.operand)})"
        return f"(-{self.value(node.operand)})"

    def _binary(self, node: Binary) -> str:
        if node.op in _MOVING:
            return self._arithmetic(node)
        left, right = self.value(node.left), self.value(node.right)
        if Type.TIMESTAMP in (node.left.type, node.right.type):
            left, right = self.instant(node.left), self.instant(node.right)
        if node.left.type is Type.JSON and node.right.type is Type.JSON:
            numbers = f"s3_is_number({left}) AND s3_is_number({right})"
            as_numbers = f"CAST({left} AS DOUBLE) {node.op} CAST({right} AS DOUBLE)"
            as_texts = f"s3_json_text({left}) {node.op} s3_json_text({right})"
            return f"(CASE WHEN {numbers} THEN {as_numbers} ELSE {as_texts} END)"
        if node.right == node.left and node.op == "=" and node.left.type is Type.UNKNOWN:
            return "CAST(NULL AS BOOLEAN)"
        return f"({left} {node.op} {right})"

    def instant(self, node: Expr) -> str:
        """SQL that gives the moment of a time stamp in microseconds."""
        if isinstance(node, Literal) and isinstance(node.value, str):
            return f"CAST({microseconds(node.value)} AS BIGINT)"
        if isinstance(node, Cast) and node.operand.type in (Type.STRING, Type.FIELD):
            return f"s3_text_instant({self.value(node.operand)}, {node.pos})"
        return f"s3_instant({self.value(node)})"

    def _arithmetic(self, node: Binary) -> str:
        left, right = self.value(node.left), self.value(node.right)
        if node.type is Type.FLOAT:
            left, right = f"CAST({left} AS DOUBLE)", f"CAST({right} AS DOUBLE)"
        if node.op in ("/", "%"):
            return self._division(node, left, right)
        if node.type is not Type.DECIMAL:
            return f"({left} {node.op} {right})"
        decimal = f"DECIMAL(38,{self._setting.scale})"
        if node.op == "*" and node.left.type is Type.DECIMAL and node.right.type is Type.DECIMAL:
            # The engine adds the scales; both together must stay below 38.
            half = min(self._setting.scale, 18)
            left, right = f"CAST({left} AS DECIMAL(38,{half}))", f"CAST({right} AS DECIMAL(38,{half}))"
            return f"CAST(({left} * {right}) AS {decimal})"
        if node.op == "*":
            sides = [
                f"CAST({sql} AS DECIMAL(19,0))" if side.type is Type.INT else sql
                for side, sql in ((node.left, left), (node.right, right))
            ]
            return f"CAST(({sides[0]} * {sides[1]}) AS {decimal})"
        return f"(CAST({left} AS {decimal}) {node.op} CAST({right} AS {decimal}))"

    def _division(self, node: Binary, left: str, right: str) -> str:
        place = node.pos
        if node.type is Type.INT:
            return f"s3_int_{'div' if node.op == '/' else 'mod'}({left}, {right}, {place})"
        if node.type is Type.FLOAT:
            return f"s3_float_{'div' if node.op == '/' else 'mod'}({left}, {right}, {place})"
        decimal = f"DECIMAL(38,{self._setting.scale})"
        if node.op == "%":
            return f"s3_float_mod(CAST({left} AS {decimal}), CAST({right} AS {decimal}), {place})"
        return f"CAST(s3_float_div(CAST({left} AS DOUBLE), CAST({right} AS DOUBLE), {place}) AS {decimal})"

    def _logic(self, node: Logic) -> str:
        if not any(may_raise(term) for term in node.terms[1:]):
            return "(" + f" {node.op} ".join(self.value(term) for term in node.terms) + ")"
        return f"(CASE WHEN {self.truth(node)} THEN TRUE WHEN {self.falsity(node)} THEN FALSE END)"

    def _in(self, node: In) -> str:
        operand = self.value(node.operand)
        items = [self.value(item) for item in node.items]
        if node.operand.type is Type.TIMESTAMP:
            operand, items = self.instant(node.operand), [self.instant(item) for item in node.items]
        return f"({operand} {'NOT ' if node.is_negated else ''}IN ({', '.join(items)}))"

    def _like(self, node: Like) -> str:
        sql = f"{self.value(node.operand)} {'NOT ' if node.is_negated else ''}LIKE {self.value(node.pattern)}"
        return f"({sql})" if node.escape is None else f"({sql} ESCAPE {self.value(node.escape)})"

    def _is(self, node: Is) -> str:
        value = self.value(node.operand)
        if node.is_missing:
            test = self._is_missing(node.operand, value)
        else:
            test = f"{value} IS NULL"
            if node.operand.type is Type.JSON:
                test = f"({test} OR json_type({value}) = 'NULL')"
        return f"(NOT ({test}))" if node.is_negated else f"({test})"

    def _is_missing(self, operand: Expr, value: str) -> str:
        if isinstance(operand, (Column, Member)) and operand.type.is_dynamic:
            return f"{value} IS NULL"
        return "TRUE" if isinstance(operand, Missing) else "FALSE"

    def _case(self, node: Case) -> str:
        whens = " ".join(f"WHEN {self.truth(when.condition)} THEN {self.value(when.result)}" for when in node.whens)
        default = "NULL" if node.default is None else self.value(node.default)
        return f"(CASE {whens} ELSE {default} END)"

    # ---- casts

    def _cast(self, node: Cast) -> str:
        source, target = node.operand.type, node.type
        value = self.value(node.operand)
        if source is Type.UNKNOWN:
            return f"CAST({value} AS {self._engine_type(target)})"
        if source is Type.JSON:
            if target is Type.JSON:
                return value
            source, value = Type.FIELD, self._json_text(node.operand, value)
        if target is Type.JSON:
            return f"to_json({self._text(node.operand)})" if source is Type.TIMESTAMP else f"to_json({value})"
        if target in (Type.STRING, Type.FIELD):
            return self._text(node.operand) if source.is_number or source in (Type.BOOL, Type.TIMESTAMP) else value
        if source in (Type.STRING, Type.FIELD):
            return self._text_to(target, value, node)
        return self._between_kinds(source, target, value, node.pos)

    def _json_text(self, node: Expr, value: str) -> str:
        if isinstance(node, Member) and node.base is None:
            return self._view.member_text(node.steps)
        return self._view.json_text(value)

    def _text_to(self, target: Type, value: str, node: Cast) -> str:
        match target:
            case Type.INT:
                return f"s3_int({value}, {node.pos})"
            case Type.FLOAT:
                return f"s3_float({value}, {node.pos})"
            case Type.DECIMAL:
                return f"s3_decimal{self._setting.scale}({value}, {node.pos})"
            case Type.BOOL:
                return f"s3_bool({value}, {node.pos})"
        return f"s3_stamp({value}, {node.pos})"

    def _between_kinds(self, source: Type, target: Type, value: str, pos: int) -> str:
        if source is target:
            return value
        if target is Type.BOOL:
            return f"({value} <> 0)"
        if source is Type.BOOL:
            value = f"CAST({value} AS BIGINT)"
        elif target is Type.INT:
            # A number loses its fraction, as in AWS's CAST; it is not rounded.
            return f"s3_whole({value}, {pos})"
        return f"CAST({value} AS {self._engine_type(target)})"

    def _engine_type(self, kind: Type) -> str:
        return {
            Type.BOOL: "BOOLEAN",
            Type.INT: "BIGINT",
            Type.FLOAT: "DOUBLE",
            Type.DECIMAL: f"DECIMAL(38,{self._setting.scale})",
            Type.JSON: "JSON",
        }.get(kind, "VARCHAR")

    # ---- functions

    def _call(self, node: Call) -> str:
        args = [self.value(arg) for arg in node.args]
        match node.name:
            case "COALESCE":
                return self._coalesce(node, args)
            case "LOWER" | "UPPER":
                return f"{node.name.lower()}({args[0]})"
            case "CHAR_LENGTH":
                return f"length({args[0]})"
            case "TRIM":
                function = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[node.keyword]
                return f"{function}({args[0]}, {args[1] if len(args) > 1 else quoted(' ')})"
            case "SUBSTRING":
                if len(args) == 2:
                    return f"s3_substring_from({args[0]}, {args[1]})"
                return f"s3_substring({args[0]}, {args[1]}, {args[2]}, {node.pos})"
            case "EXTRACT":
                return self._let(args[0], lambda stamp: f"s3_extract_{node.keyword.lower()}({stamp})")
            case "DATE_ADD":
                return self._let(
                    args[1], lambda stamp: f"s3_add_{node.keyword.lower()}({args[0]}, {stamp}, {node.pos})"
                )
            case "DATE_DIFF":
                return f"s3_diff_{node.keyword.lower()}({self.instant(node.args[0])}, {self.instant(node.args[1])})"
            case "TO_STRING":
                return self._let(args[0], lambda stamp: self._to_string(node, stamp))
            case "TO_TIMESTAMP":
                return self._let(args[0], lambda text: self._to_timestamp(node, text))
        assert node.name == "UTCNOW", node.name
        return quoted(self._setting.now)

    def _let(self, value: str, body: Callable[[str], str]) -> str:
        """Name a value that the body uses several times, so that the planner does not see it several times."""
        if len(value) < _SHORT:
            return body(value)
        self._names += 1
        name = f"x{self._names}"
        return f"list_transform([{value}], lambda {name}: {body(name)})[1]"

    def _coalesce(self, node: Call, args: list[str]) -> str:
        if node.type is Type.UNKNOWN:
            return "NULL"
        if node.type is Type.JSON:
            args = [f"nullif({arg}, 'null'::JSON)" for arg in args]
        return f"coalesce({', '.join(args)})"

    def _to_string(self, node: Call, stamp: str) -> str:
        pattern = node.args[1]
        assert isinstance(pattern, Literal)
        parts = [
            symbol_sql(text, stamp) if is_symbol else quoted(text)
            for text, is_symbol in pattern_tokens(str(pattern.value))
        ]
        return f"(CASE WHEN {stamp} IS NOT NULL THEN {' || '.join(parts) if parts else quoted('')} END)"

    def _to_timestamp(self, node: Call, text: str) -> str:
        if len(node.args) == 1:
            return f"s3_to_stamp({text}, {node.pos})"
        pattern = node.args[1]
        assert isinstance(pattern, Literal)
        return parsing_sql(str(pattern.value), text, node.pos)

    # ---- output

    def value_and_scale(self, node: Expr) -> tuple[str, str | None]:
        """SQL of the value, and of the fractional digits that a decimal is written with."""
        if node.type is Type.DECIMAL and not isinstance(node, Literal):
            return self.value(node), self._scale(node)
        return self.value(node), None

    def text_from(self, node: Expr, value: str, scale: str | None) -> str:
        """SQL that gives a value as CSV writes it, before quoting; NULL where there is none."""
        match node.type:
            case Type.DECIMAL:
                return self._decimal_text(node, value, scale)
            case Type.TIMESTAMP:
                return f"s3_stamp_text({value})"
            case Type.FLOAT:
                return f"s3_float_text({value})"
            case Type.JSON:
                return self._view.json_text(value)
            case Type.BOOL | Type.INT | Type.UNKNOWN:
                return f"CAST({value} AS VARCHAR)"
        return value

    def json_from(self, node: Expr, value: str, scale: str | None) -> str:
        """SQL that gives a value as JSON text; NULL where there is none."""
        if node.type is Type.JSON:
            return f"CAST({value} AS VARCHAR)"
        text = self.text_from(node, value, scale)
        if node.type.is_number or node.type in (Type.BOOL, Type.UNKNOWN):
            return text
        return f"CAST(to_json({text}) AS VARCHAR)"

    def _text(self, node: Expr) -> str:
        value, scale = self.value_and_scale(node)
        return self.text_from(node, value, scale)

    def _decimal_text(self, node: Expr, value: str, scale: str | None) -> str:
        if isinstance(node, Literal) and isinstance(node.value, Decimal):
            return quoted(f"{node.value:f}")
        if scale is None:
            return f"s3_plain({value})"
        return f"s3_scaled({value}, {scale}, {self._setting.scale})"

    def _scale(self, node: Expr) -> str | None:
        """SQL that gives how many fractional digits a decimal is written with; None when that is not kept."""
        match node:
            case Column() if node.scale is not None:
                return str(min(node.scale, self._setting.scale))
            case Literal(value=Decimal() as number):
                return str(max(0, -int(number.as_tuple().exponent)))
            case Cast(operand=operand) if operand.type in (Type.STRING, Type.FIELD, Type.JSON):
                value = self.value(operand)
                text = self._json_text(operand, value) if operand.type is Type.JSON else value
                return f"s3_scale({text})"
            case Cast(operand=operand) if operand.type is Type.DECIMAL:
                return self._scale(operand)
            case Unary(operand=operand):
                return self._scale(operand)
            case Binary(op="+" | "-" | "*"):
                left, right = self._scale(node.left), self._scale(node.right)
                if left is None or right is None:
                    return None
                return (
                    f"least({left} + {right}, {self._setting.scale})"
                    if node.op == "*"
                    else f"greatest({left}, {right})"
                )
        return "0" if node.type is Type.INT else None

    def scale_of(self, node: Expr) -> str | None:
        """As `_scale`, for the aggregates, which keep the widest scale that they saw."""
        return self._scale(node)


def may_raise(node: Expr) -> bool:
    """Whether running the expression can fail on some record."""
    return any(
        isinstance(part, Cast)
        or (isinstance(part, Binary) and part.op in _MOVING)
        or (isinstance(part, Call) and part.name in ("SUBSTRING", "DATE_ADD", "TO_TIMESTAMP"))
        for part in walk(node)
    )


def _no_aggregate(_lowering: Lowering, node: Aggregate) -> str:
    raise AssertionError(f"{node.name} is computed apart (query/aggregates.py)")


# A cast, because each rule takes the one node type that it stands for.
_RULES: Final = cast(
    "dict[type, Callable[[Lowering, Expr], str]]",
    {
        Literal: Lowering._literal,
        Missing: Lowering._missing,
        Column: Lowering._column,
        Member: Lowering._member,
        Unary: Lowering._unary,
        Binary: Lowering._binary,
        Logic: Lowering._logic,
        In: Lowering._in,
        Like: Lowering._like,
        Is: Lowering._is,
        Case: Lowering._case,
        Cast: Lowering._cast,
        Call: Lowering._call,
        Aggregate: _no_aggregate,
    },
)
