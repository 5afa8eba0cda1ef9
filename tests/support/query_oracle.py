"""
A second, small evaluator of expressions, written from the reference and sharing nothing with the engine.

An expression is a pair of its SQL and a function from a record to its value. Values are int, Decimal, str, bool and
None for NULL and missing; a failure is a `Fault` with AWS's code.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

Record = Sequence[str | None]
Value = int | Decimal | str | bool | None


class Fault(Exception):
    """The expression fails on this record."""


class Unsure(Exception):
    """One argument is NULL and another fails: an engine may give NULL or the fault."""


@dataclass(frozen=True)
class Expression:
    sql: str
    run: Callable[[Record], Value]

    def __repr__(self) -> str:
        return self.sql


FIELDS = 4
texts = st.text(alphabet="abAB ä%_'\"1", max_size=5)
numbers = st.integers(-50, 50)
cells = st.one_of(
    st.none(),
    texts,
    numbers.map(str),
    st.decimals(-99, 99, places=2).map(str),
    st.sampled_from(["", " 7 ", "+3", "1e2", "007", "1_0", "0x1", "nan", "-", "5."]),
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def field(number: int) -> Expression:
    return Expression(f"_{number + 1}", lambda record: record[number])


def literal(value: int | Decimal) -> Expression:
    return Expression(f"({value})", lambda _record: value)


def text_literal(value: str) -> Expression:
    return Expression(quoted(value), lambda _record: value)


def strict(sql: str, apply: Callable[..., Value], *args: Expression) -> Expression:
    """All arguments are evaluated; one that is NULL makes the result NULL."""

    def run(record: Record) -> Value:
        values: list[Value] = []
        faults: list[Fault] = []
        for arg in args:
            try:
                values.append(arg.run(record))
            except Fault as fault:
                faults.append(fault)
        is_null = any(value is None for value in values)
        if faults:
            raise Unsure if is_null else faults[0]
        return None if is_null else apply(*values)

    return Expression(sql.format(*(arg.sql for arg in args)), run)


def whole(text: str) -> int:
    if not re.fullmatch(r" *[-+]?[0-9]+ *", text):
        raise Fault("CastFailed")
    return int(text)


def decimal(text: str) -> Decimal:
    if not re.fullmatch(r" *[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)? *", text):
        raise Fault("CastFailed")
    value = Decimal(text.strip())
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return value.quantize(Decimal(1)) if exponent > 0 else value


def truncated(left: int, right: int) -> int:
    if right == 0:
        raise Fault("IllegalSqlFunctionArgument")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def remainder(left: int, right: int) -> int:
    return left - right * truncated(left, right)


def substring(text: str, start: int, length: int) -> str:
    begin = max(start, 1) - 1
    return text[begin : begin + length]


def is_like(text: str, pattern: str) -> bool:
    shape = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(shape, text, re.DOTALL) is not None


def both(left: Expression, right: Expression) -> Expression:
    def run(record: Record) -> Value:
        first = left.run(record)
        if first is False:
            return False
        second = right.run(record)
        return second if first is True else (False if second is False else None)

    return Expression(f"({left.sql} AND {right.sql})", run)


def either(left: Expression, right: Expression) -> Expression:
    def run(record: Record) -> Value:
        first = left.run(record)
        if first is True:
            return True
        second = right.run(record)
        return second if first is False else (True if second is True else None)

    return Expression(f"({left.sql} OR {right.sql})", run)


def case(condition: Expression, result: Expression, default: Expression) -> Expression:
    sql = f"(CASE WHEN {condition.sql} THEN {result.sql} ELSE {default.sql} END)"
    return Expression(sql, lambda record: (result if condition.run(record) is True else default).run(record))


def coalesce(first: Expression, second: Expression) -> Expression:
    def run(record: Record) -> Value:
        value = first.run(record)
        return second.run(record) if value is None else value

    return Expression(f"COALESCE({first.sql}, {second.sql})", run)


def nullif(first: Expression, second: Expression) -> Expression:
    def run(record: Record) -> Value:
        left, right = first.run(record), second.run(record)
        return None if left is not None and left == right else left

    return Expression(f"NULLIF({first.sql}, {second.sql})", run)


def is_in(operand: Expression, items: list[Expression]) -> Expression:
    def run(record: Record) -> Value:
        value, options = operand.run(record), [item.run(record) for item in items]
        if value is None:
            return None
        return True if value in options else (None if None in options else False)

    return Expression(f"({operand.sql} IN ({', '.join(item.sql for item in items)}))", run)


def is_null(operand: Expression, *, is_negated: bool) -> Expression:
    sql = f"({operand.sql} IS {'NOT ' if is_negated else ''}NULL)"
    return Expression(sql, lambda record: (operand.run(record) is None) != is_negated)


COMPARE: dict[str, Callable[..., bool]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
fields = st.integers(0, FIELDS - 1).map(field)


def compared(op: str, left: Expression, right: Expression) -> Expression:
    return strict(f"({{}} {op} {{}})", COMPARE[op], left, right)


def compared_field(op: str, left: Expression, right: int) -> Expression:
    """A field that meets a number is a number."""
    return strict(f"({{}} {op} {right})", lambda text: COMPARE[op](decimal(text), right), left)


@st.composite
def integers(draw: st.DrawFn, depth: int) -> Expression:
    if depth == 0:
        return draw(st.one_of(numbers.map(literal), fields.map(lambda one: strict("CAST({} AS INT)", whole, one))))
    inner = integers(depth - 1)
    kind = draw(st.integers(0, 7))
    match kind:
        case 0:
            return strict("({} + {})", lambda a, b: a + b, draw(inner), draw(inner))
        case 1:
            return strict("({} - {})", lambda a, b: a - b, draw(inner), draw(inner))
        case 2:
            return strict("({} * {})", lambda a, b: a * b, draw(inner), draw(inner))
        case 3:
            return strict("({} / {})", truncated, draw(inner), draw(inner))
        case 4:
            return strict("({} % {})", remainder, draw(inner), draw(inner))
        case 5:
            return strict("CHAR_LENGTH({})", len, draw(strings(depth - 1)))
        case 6:
            return case(draw(conditions(depth - 1)), draw(inner), draw(inner))
    return draw(st.sampled_from([coalesce, nullif]))(draw(inner), draw(inner))


@st.composite
def strings(draw: st.DrawFn, depth: int) -> Expression:
    if depth == 0:
        return draw(st.one_of(texts.map(text_literal), fields))
    inner = strings(depth - 1)
    kind = draw(st.integers(0, 6))
    match kind:
        case 0:
            return strict("UPPER({})", str.upper, draw(inner))
        case 1:
            return strict("LOWER({})", str.lower, draw(inner))
        case 2:
            return strict("TRIM({})", lambda text: text.strip(" "), draw(inner))
        case 3:
            start, length = draw(st.integers(-3, 7)), draw(st.integers(0, 7))
            return strict(
                f"SUBSTRING({{}}, {start}, {length})", lambda text: substring(text, start, length), draw(inner)
            )
        case 4:
            return case(draw(conditions(depth - 1)), draw(inner), draw(inner))
        case 5:
            return strict("CAST({} AS STRING)", str, draw(integers(depth - 1)))
    return draw(st.sampled_from([coalesce, nullif]))(draw(inner), draw(inner))


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> Expression:
    op = draw(st.sampled_from(list(COMPARE)))
    if depth == 0:
        return draw(
            st.one_of(
                st.builds(compared_field, st.just(op), fields, numbers),
                st.builds(
                    lambda left, right: compared(op, left, right), fields, st.one_of(fields, texts.map(text_literal))
                ),
                st.builds(is_null, fields, is_negated=st.booleans()),
                st.sampled_from([Expression("TRUE", lambda _: True), Expression("FALSE", lambda _: False)]),
            )
        )
    inner = conditions(depth - 1)
    kind = draw(st.integers(0, 7))
    match kind:
        case 0:
            return both(draw(inner), draw(inner))
        case 1:
            return either(draw(inner), draw(inner))
        case 2:
            return strict("(NOT {})", lambda value: not value, draw(inner))
        case 3:
            pattern = draw(texts)
            return strict(
                f"({{}} LIKE {quoted(pattern)})", lambda text: is_like(text, pattern), draw(strings(depth - 1))
            )
        case 4:
            return compared(op, draw(integers(depth - 1)), draw(integers(depth - 1)))
        case 5:
            return compared(op, draw(strings(depth - 1)), draw(strings(depth - 1)))
        case 6:
            return is_in(draw(integers(depth - 1)), [draw(integers(depth - 1)), draw(integers(0))])
    return is_null(draw(st.one_of(integers(depth - 1), strings(depth - 1))), is_negated=draw(st.booleans()))


def decimals(depth: int) -> st.SearchStrategy[Expression]:
    leaf = st.one_of(
        st.decimals(-99, 99, places=2).map(literal), fields.map(lambda one: strict("CAST({} AS DECIMAL)", decimal, one))
    )
    if depth == 0:
        return leaf
    inner = decimals(depth - 1)
    return st.one_of(
        st.builds(lambda left, right: strict("({} + {})", lambda a, b: a + b, left, right), inner, inner),
        st.builds(lambda left, right: strict("({} - {})", lambda a, b: a - b, left, right), inner, inner),
        st.builds(lambda left, right: strict("({} * {})", lambda a, b: a * b, left, right), leaf, leaf),
    )


def written(value: Value) -> str | None:
    """A value as JSON output writes it, numbers and booleans without quotes."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
