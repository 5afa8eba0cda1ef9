"""
The tree of a query: what the parser builds and what the checker types.

Every node is a value and carries the place in the SQL where it began. No node knows how it is run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum


class Type(StrEnum):
    """What an expression gives. FIELD is text of a file that becomes what it is compared with."""

    UNCHECKED = "unchecked"
    UNKNOWN = "unknown"  # the literals NULL and MISSING
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    DECIMAL = "decimal"
    STRING = "string"
    TIMESTAMP = "timestamp"
    FIELD = "field"
    JSON = "json"  # a value of a JSON record: its kind is known row by row

    @property
    def is_number(self) -> bool:
        return self in (Type.INT, Type.FLOAT, Type.DECIMAL)

    @property
    def is_dynamic(self) -> bool:
        return self in (Type.FIELD, Type.JSON)


@dataclass(frozen=True, slots=True)
class Literal:
    pos: int
    value: str | int | Decimal | bool | None
    type: Type


@dataclass(frozen=True, slots=True)
class Missing:
    """The literal MISSING."""

    pos: int
    type: Type = Type.UNKNOWN


@dataclass(frozen=True, slots=True)
class Name:
    """A step by name; `is_exact` when it was written in quotes."""

    pos: int
    text: str
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Index:
    pos: int
    value: int


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`[*]` over an array or `.*` over an object; only FROM has it."""

    pos: int
    is_array: bool


Step = Name | Index | Wildcard


@dataclass(frozen=True, slots=True)
class Path:
    """A reference as written: `s.a.b[0]`, `_1`, `"Some Name"`."""

    pos: int
    steps: tuple[Step, ...]
    type: Type = Type.UNCHECKED


@dataclass(frozen=True, slots=True)
class Column:
    """
    A resolved column of a table; counts from 0.

    `name` is what JSON output calls it, `scale` the fractional digits of a column of decimals.
    """

    pos: int
    index: int
    name: str
    type: Type
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A resolved place inside a nested value: `base` and at least one step, or the whole row without steps."""

    pos: int
    base: "Expr | None"
    steps: tuple[Step, ...]
    type: Type = Type.JSON


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `NOT`."""

    pos: int
    op: str
    operand: "Expr"
    type: Type = Type.UNCHECKED


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic `+ - * / %` and comparison `= <> < <= > >=`."""

    pos: int
    op: str
    left: "Expr"
    right: "Expr"
    type: Type = Type.UNCHECKED


@dataclass(frozen=True, slots=True)
class Logic:
    """A whole chain of AND or of OR, so that ten thousand terms are not ten thousand levels."""

    pos: int
    op: str
    terms: tuple["Expr", ...]
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Between:
    pos: int
    operand: "Expr"
    low: "Expr"
    high: "Expr"
    is_negated: bool
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class In:
    pos: int
    operand: "Expr"
    items: tuple["Expr", ...]
    is_negated: bool
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Like:
    pos: int
    operand: "Expr"
    pattern: "Expr"
    escape: "Expr | None"
    is_negated: bool
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Is:
    """`IS [NOT] NULL` and `IS [NOT] MISSING`."""

    pos: int
    operand: "Expr"
    is_missing: bool
    is_negated: bool
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class When:
    pos: int
    condition: "Expr"
    result: "Expr"


@dataclass(frozen=True, slots=True)
class Case:
    """A CASE; the simple form is turned into comparisons by the checker, so `operand` is None afterwards."""

    pos: int
    operand: "Expr | None"
    whens: tuple[When, ...]
    default: "Expr | None"
    type: Type = Type.UNCHECKED


@dataclass(frozen=True, slots=True)
class Cast:
    """CAST, and the conversions that the checker puts in (`is_implicit`)."""

    pos: int
    operand: "Expr"
    type: Type
    is_implicit: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function; `keyword` is the date part of a date function or the side of TRIM."""

    pos: int
    name: str
    args: tuple["Expr", ...]
    keyword: str = ""
    type: Type = Type.UNCHECKED


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate; COUNT(*) has no argument."""

    pos: int
    name: str
    arg: "Expr | None"
    type: Type = Type.UNCHECKED


Expr = (
    Literal
    | Missing
    | Path
    | Column
    | Member
    | Unary
    | Binary
    | Logic
    | Between
    | In
    | Like
    | Is
    | Case
    | Cast
    | Call
    | Aggregate
)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the SELECT list."""

    pos: int
    expr: Expr
    alias: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """FROM: the steps after S3Object and the alias."""

    pos: int
    steps: tuple[Step, ...]
    alias: str | None


@dataclass(frozen=True, slots=True)
class Select:
    """A query as written. `items` is empty for `*`; `star` is the row's name when it is `s.*`."""

    pos: int
    items: tuple[Item, ...]
    source: Source
    where: Expr | None
    limit: int | None
    star: Name | None = None


def children(node: object) -> Iterator[object]:
    """Every node right below, in the order of the text."""
    for field in fields(node):  # type: ignore[arg-type]  # every node is a dataclass
        value = getattr(node, field.name)
        if isinstance(value, tuple):
            yield from value
        elif hasattr(value, "pos"):
            yield value


def depth_of(root: object) -> int:
    """How many levels the tree has; counts without recursion, so that it is safe to ask of any tree."""
    deepest = 0
    pending = [(root, 1)]
    while pending:
        node, level = pending.pop()
        deepest = max(deepest, level)
        pending.extend((child, level + 1) for child in children(node))
    return deepest


def walk(root: object) -> Iterator[object]:
    """Every node of the tree, the root first."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(children(node))
