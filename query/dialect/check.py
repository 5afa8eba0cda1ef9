"""
Names to columns, types to every node, conversions where the dialect has them.

Runs when the header of the file is known. What comes out holds no name of the file any more, only positions and types,
so that nothing of the user's text can reach the engine. Says what a query means; how it is run must never live here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, cast

from query.dialect.nodes import (
    Aggregate,
    Between,
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
    Name,
    Path,
    Select,
    Step,
    Type,
    Unary,
    When,
    Wildcard,
    children,
    walk,
)
from query.dialect.stamps import check_pattern, normal_stamp
from query.errors import QueryError, position_of

# A double keeps every decimal of 15 digits and every integer up to this.
_DOUBLE_INT_MAX: Final = 2**53
_DOUBLE_DIGITS: Final = 15
_COMPARISONS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
_TEXT: Final = (Type.STRING, Type.FIELD, Type.JSON, Type.UNKNOWN)


@dataclass(frozen=True, slots=True)
class TableColumn:
    name: str
    type: Type
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """
    What a file of records with columns looks like.

    Attributes:
        columns: The named columns, in order; empty for CSV without a header.
        is_open: Records may have more fields than `columns` (CSV).
    """

    columns: tuple[TableColumn, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Documents:
    """A file of JSON values: nothing is known of them beforehand."""


Shape = Table | Documents


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Query:
    """
    A query that is known to make sense on the file.

    Attributes:
        outputs: The SELECT list; empty for `*`.
        unnest: The steps of FROM after `S3Object[*]`, for JSON.
        is_aggregate: One record comes out, whatever the number of records read.
    """

    outputs: tuple[Output, ...]
    unnest: tuple[Step, ...]
    where: Expr | None
    limit: int | None
    is_aggregate: bool


def check(select: Select, shape: Shape, *, sql: str) -> Query:
    """
    Resolve and type a parsed query.

    Args:
        select: What `parse` gave.
        shape: The columns of the file.
        sql: The text, for the places in errors.

    Raises:
        QueryError: With AWS's code and the place.
    """
    return _Checker(select, shape, sql).query()


class _Checker:
    def __init__(self, select: Select, shape: Shape, sql: str) -> None:
        self._select = select
        self._shape = shape
        self._sql = sql
        self._names = self._row_names()

    def _row_names(self) -> frozenset[str]:
        source = self._select.source
        if source.alias is not None:
            return frozenset({source.alias.lower()})
        if not source.steps:
            return frozenset({"s3object"})
        # User guide, FROM clause: without an alias the row is called by the last name of the path, or _1
        # when the path ends in a wildcard.
        last = source.steps[-1]
        return frozenset({last.text.lower()}) if isinstance(last, Name) else frozenset({"_1"})

    def _error(self, code: str, at: int, message: str = "") -> QueryError:
        return QueryError(code, message, position=position_of(self._sql, at))

    def query(self) -> Query:
        select = self._select
        steps = select.source.steps
        if steps and isinstance(self._shape, Table) and not (len(steps) == 1 and isinstance(steps[0], Wildcard)):
            raise self._error("InvalidDataSource", steps[0].pos, "only JSON has paths in FROM")
        if select.star is not None and select.star.text.lower() not in self._names:
            raise self._error(
                "EvaluatorBindingDoesNotExist", select.star.pos, f"there is no row called {select.star.text}"
            )
        is_aggregate = any(isinstance(node, Aggregate) for item in select.items for node in walk(item.expr))
        if is_aggregate:
            self._refuse_mixed()
        where = None
        if select.where is not None:
            self._refuse_aggregates(select.where)
            where = self._boolean(self._expr(select.where))
        outputs = tuple(
            Output(item.alias if item.alias is not None else self._name_of(item.expr, number), self._expr(item.expr))
            for number, item in enumerate(select.items, start=1)
        )
        return Query(outputs, steps[1:], where, select.limit, is_aggregate)

    def _refuse_mixed(self) -> None:
        for item in self._select.items:
            pending: list[object] = [item.expr]
            while pending:
                node = pending.pop()
                if isinstance(node, Aggregate):
                    if node.arg is not None:
                        self._refuse_aggregates(node.arg)
                    continue
                if isinstance(node, Path):
                    raise self._error(
                        "UnsupportedSqlStructure", node.pos, "aggregates and columns cannot be mixed without GROUP BY"
                    )
                pending.extend(child for child in children(node))

    def _refuse_aggregates(self, root: Expr) -> None:
        for node in walk(root):
            if isinstance(node, Aggregate):
                raise self._error("UnsupportedSqlStructure", node.pos, "an aggregate cannot stand here")

    def _name_of(self, expr: Expr, number: int) -> str:
        if isinstance(expr, Path):
            if isinstance(self._shape, Table):
                column = self._path(expr)
                if isinstance(column, Column):
                    return column.name
            last = expr.steps[-1]
            if isinstance(last, Name):
                return last.text
        return f"_{number}"

    # ---- expressions

    def _expr(self, node: Expr) -> Expr:
        return _RULES[type(node)](self, node)

    def _literal(self, node: Literal) -> Expr:
        if node.type is not Type.TIMESTAMP:
            return node
        stamp = normal_stamp(str(node.value), allow_unknown_offset=True)
        if stamp is None:
            raise self._error("LexerInvalidIONLiteral", node.pos)
        return replace(node, value=stamp)

    def _missing(self, node: Missing) -> Expr:
        return node

    def _path(self, node: Path) -> Expr:
        steps = node.steps
        first = steps[0]
        if (
            isinstance(first, Name)
            and first.text.lower() in self._names
            and (len(steps) > 1 or isinstance(self._shape, Documents))
        ) or (
            isinstance(self._shape, Documents) and isinstance(first, Name) and first.text == "_1" and not first.is_exact
        ):
            steps = steps[1:]
        if isinstance(self._shape, Documents):
            return Member(node.pos, None, steps)
        return self._column(node.pos, steps)

    def _column(self, pos: int, steps: Sequence[Step]) -> Expr:
        assert isinstance(self._shape, Table)
        first = steps[0]
        if not isinstance(first, Name):
            raise self._error("InvalidKeyPath", first.pos, "a record of this file is not a list")
        column = self._named_column(first)
        if len(steps) == 1:
            return column
        if column.type is not Type.JSON:
            raise self._error("InvalidKeyPath", steps[1].pos, "the fields of this file hold no further fields")
        return Member(pos, column, tuple(steps[1:]))

    def _named_column(self, name: Name) -> Column:
        assert isinstance(self._shape, Table)
        columns = self._shape.columns
        if name.is_exact:
            found = [index for index, column in enumerate(columns) if column.name == name.text]
        else:
            found = [index for index, column in enumerate(columns) if column.name.lower() == name.text.lower()]
        number = _column_number(name.text)
        if number is not None and not (name.is_exact and found):
            return self._numbered_column(name, number)
        if len(found) > 1:
            raise self._error("AmbiguousFieldName", name.pos, f"the name {name.text} fits more than one field")
        if not found:
            code = "MissingHeaders" if columns else "InvalidColumnIndex"
            raise self._error(code, name.pos, f"there is no column {name.text}")
        return _column_at(name.pos, found[0], columns[found[0]])

    def _numbered_column(self, name: Name, number: int) -> Column:
        assert isinstance(self._shape, Table)
        columns = self._shape.columns
        if not 1 <= number <= (COLUMNS_MAX if self._shape.is_open else len(columns)):
            raise self._error("InvalidColumnIndex", name.pos)
        if number <= len(columns):
            return _column_at(name.pos, number - 1, columns[number - 1])
        return Column(name.pos, number - 1, f"_{number}", Type.FIELD)

    def _unary(self, node: Unary) -> Expr:
        operand = self._expr(node.operand)
        if node.op == "NOT":
            return replace(node, operand=self._boolean(operand), type=Type.BOOL)
        operand = self._number(operand)
        return operand if node.op == "+" else replace(node, operand=operand, type=operand.type)

    def _binary(self, node: Binary) -> Expr:
        left, right = self._expr(node.left), self._expr(node.right)
        if node.op in _COMPARISONS:
            return self._comparison(node.pos, node.op, left, right)
        left, right = self._number(left), self._number(right)
        return replace(node, left=left, right=right, type=_wider(left.type, right.type))

    def _comparison(self, pos: int, op: str, left: Expr, right: Expr) -> Binary:
        pair = self._pair(left, right)
        if pair is None:
            raise self._error("UnsupportedTypeForQuerying", pos, f"{left.type} cannot be compared with {right.type}")
        return Binary(pos, op, *pair, type=Type.BOOL)

    def _pair(self, left: Expr, right: Expr) -> tuple[Expr, Expr] | None:
        """Both sides made comparable; None when nothing makes them so."""
        if Type.UNKNOWN in (left.type, right.type):
            return left, right
        if left.type is Type.JSON and right.type is Type.JSON:
            return left, right
        if left.type in _TEXT and right.type in _TEXT:
            return _convert(left, Type.STRING), _convert(right, Type.STRING)
        if left.type in _TEXT and not isinstance(left, Literal):
            return _convert(left, _target(right)), right
        if right.type in _TEXT and not isinstance(right, Literal):
            return left, _convert(right, _target(left))
        is_like = left.type is right.type or (left.type.is_number and right.type.is_number)
        return (left, right) if is_like else None

    def _logic(self, node: Logic) -> Expr:
        return replace(node, terms=tuple(self._boolean(self._expr(term)) for term in node.terms))

    def _between(self, node: Between) -> Expr:
        operand, low, high = self._expr(node.operand), self._expr(node.low), self._expr(node.high)
        terms = (self._comparison(node.pos, ">=", operand, low), self._comparison(node.pos, "<=", operand, high))
        inside = Logic(node.pos, "AND", terms)
        return Unary(node.pos, "NOT", inside, Type.BOOL) if node.is_negated else inside

    def _in(self, node: In) -> Expr:
        if not node.items:
            raise self._error("ParseExpectedExpression", node.pos, "IN needs at least one value")
        operand = self._expr(node.operand)
        pairs = [self._comparison(item.pos, "=", operand, self._expr(item)) for item in node.items]
        if all(isinstance(pair.right, Literal) and pair.left == pairs[0].left for pair in pairs):
            return replace(node, operand=pairs[0].left, items=tuple(pair.right for pair in pairs))
        inside = Logic(node.pos, "OR", tuple(pairs))
        return Unary(node.pos, "NOT", inside, Type.BOOL) if node.is_negated else inside

    def _like(self, node: Like) -> Expr:
        operand, pattern = self._like_text(node.operand), self._like_text(node.pattern)
        escape = None if node.escape is None else self._like_text(node.escape)
        if isinstance(escape, Literal) and isinstance(escape.value, str):
            if len(escape.value) != 1:
                raise self._error("LikeInvalidInputs", escape.pos, "ESCAPE takes one character")
            if (
                isinstance(pattern, Literal)
                and isinstance(pattern.value, str)
                and not _is_escaped_well(pattern.value, escape.value)
            ):
                raise self._error("EvaluatorLikePatternInvalidEscapeSequence", pattern.pos)
        elif escape is not None:
            raise self._error("LikeInvalidInputs", escape.pos, "ESCAPE takes a literal of one character")
        return replace(node, operand=operand, pattern=pattern, escape=escape)

    def _like_text(self, node: Expr) -> Expr:
        expr = self._expr(node)
        if expr.type not in _TEXT:
            raise self._error("LikeInvalidInputs", node.pos)
        return _convert(expr, Type.STRING)

    def _is(self, node: Is) -> Expr:
        return replace(node, operand=self._expr(node.operand))

    def _case(self, node: Case) -> Expr:
        operand = None if node.operand is None else self._expr(node.operand)
        whens: list[When] = []
        for when in node.whens:
            condition = self._expr(when.condition)
            if operand is not None:
                condition = self._comparison(when.pos, "=", operand, condition)
            whens.append(When(when.pos, self._boolean(condition), self._expr(when.result)))
        default = None if node.default is None else self._expr(node.default)
        results = [when.result for when in whens] + ([] if default is None else [default])
        common = _common(results)
        return Case(
            node.pos,
            None,
            tuple(replace(when, result=_convert(when.result, common)) for when in whens),
            None if default is None else _convert(default, common),
            common,
        )

    def _cast(self, node: Cast) -> Expr:
        operand = self._expr(node.operand)
        if not _is_castable(operand.type, node.type):
            raise self._error("InvalidCast", node.pos, f"{operand.type} cannot be cast to {node.type}")
        return replace(node, operand=operand)

    def _aggregate(self, node: Aggregate) -> Expr:
        if node.arg is None:
            return replace(node, type=Type.INT)
        arg = self._expr(node.arg)
        if node.name == "COUNT":
            return replace(node, arg=arg, type=Type.INT)
        if node.name in ("MIN", "MAX") and arg.type not in (Type.JSON, Type.BOOL):
            arg = _convert(arg, Type.STRING) if arg.type is Type.FIELD else arg
            return replace(node, arg=arg, type=arg.type)
        arg = self._number(arg)
        is_average_of_int = node.name == "AVG" and arg.type is Type.INT
        return replace(node, arg=arg, type=Type.DECIMAL if is_average_of_int else arg.type)

    # ---- functions

    def _call(self, node: Call) -> Expr:
        args = tuple(self._expr(arg) for arg in node.args)
        match node.name:
            case "COALESCE":
                common = _common(args)
                return replace(node, args=tuple(_convert(arg, common) for arg in args), type=common)
            case "NULLIF":
                return self._nullif(node, args)
            case "LOWER" | "UPPER" | "TRIM":
                return replace(node, args=tuple(map(self._string, args)), type=Type.STRING)
            case "CHAR_LENGTH":
                return replace(node, args=(self._string(args[0]),), type=Type.INT)
            case "SUBSTRING":
                counts = tuple(map(self._integer, args[1:]))
                return replace(node, args=(self._string(args[0]), *counts), type=Type.STRING)
        return self._date_call(node, args)

    def _date_call(self, node: Call, args: tuple[Expr, ...]) -> Expr:
        match node.name:
            case "EXTRACT":
                return replace(node, args=(self._stamp(args[0]),), type=Type.INT)
            case "DATE_ADD":
                return replace(node, args=(self._integer(args[0]), self._stamp(args[1])), type=Type.TIMESTAMP)
            case "DATE_DIFF":
                return replace(node, args=tuple(map(self._stamp, args)), type=Type.INT)
            case "TO_STRING":
                self._pattern(args[1], is_parsing=False)
                return replace(node, args=(self._stamp(args[0]), args[1]), type=Type.STRING)
            case "TO_TIMESTAMP":
                if len(args) == 2:
                    self._pattern(args[1], is_parsing=True)
                return replace(node, args=(self._string(args[0]), *args[1:]), type=Type.TIMESTAMP)
        assert node.name == "UTCNOW", node.name
        return replace(node, type=Type.TIMESTAMP)

    def _pattern(self, node: Expr, *, is_parsing: bool) -> None:
        if not (isinstance(node, Literal) and isinstance(node.value, str)):
            raise self._error("IncorrectSqlFunctionArgumentType", node.pos, "the pattern is a literal text")
        fault = check_pattern(node.value, is_parsing=is_parsing)
        if fault is not None:
            raise self._error(fault, node.pos)

    def _nullif(self, node: Call, args: tuple[Expr, ...]) -> Expr:
        first, second = args
        pair = self._pair(first, second)
        if pair is None:
            # User guide: NULLIF(1, '1') is 1; what cannot be compared is not the same.
            return first
        equal = Binary(node.pos, "=", *pair, type=Type.BOOL)
        nothing = Literal(node.pos, None, Type.UNKNOWN)
        return Case(node.pos, None, (When(node.pos, equal, nothing),), first, first.type)

    # ---- what a place asks of an expression

    def _boolean(self, node: Expr) -> Expr:
        if node.type in (Type.BOOL, Type.UNKNOWN):
            return node
        if node.type.is_dynamic:
            return _convert(node, Type.BOOL)
        raise self._error("IncorrectSqlFunctionArgumentType", node.pos, f"a condition was expected, not {node.type}")

    def _number(self, node: Expr) -> Expr:
        if node.type.is_number or node.type is Type.UNKNOWN:
            return node
        if node.type in _TEXT and not isinstance(node, Literal):
            return _convert(node, Type.DECIMAL)
        raise self._error("IncorrectSqlFunctionArgumentType", node.pos, f"a number was expected, not {node.type}")

    def _integer(self, node: Expr) -> Expr:
        if node.type in (Type.INT, Type.UNKNOWN):
            return node
        if node.type.is_dynamic:
            return _convert(node, Type.INT)
        raise self._error("IncorrectSqlFunctionArgumentType", node.pos, f"an integer was expected, not {node.type}")

    def _string(self, node: Expr) -> Expr:
        if node.type in _TEXT:
            return _convert(node, Type.STRING)
        raise self._error("IncorrectSqlFunctionArgumentType", node.pos, f"text was expected, not {node.type}")

    def _stamp(self, node: Expr) -> Expr:
        if node.type in (Type.TIMESTAMP, Type.UNKNOWN):
            return node
        if node.type.is_dynamic:
            return _convert(node, Type.TIMESTAMP)
        raise self._error("IncorrectSqlFunctionArgumentType", node.pos, f"a time stamp was expected, not {node.type}")


COLUMNS_MAX: Final = 10_000  # records with more fields are refused with OverMaxColumn

# A cast, because each rule takes the one node type that it stands for.
_RULES: Final = cast(
    "dict[type, Callable[[_Checker, Expr], Expr]]",
    {
        Literal: _Checker._literal,
        Missing: _Checker._missing,
        Path: _Checker._path,
        Unary: _Checker._unary,
        Binary: _Checker._binary,
        Logic: _Checker._logic,
        Between: _Checker._between,
        In: _Checker._in,
        Like: _Checker._like,
        Is: _Checker._is,
        Case: _Checker._case,
        Cast: _Checker._cast,
        Call: _Checker._call,
        Aggregate: _Checker._aggregate,
    },
)


def _column_at(pos: int, index: int, column: TableColumn) -> Column:
    return Column(pos, index, column.name, column.type, column.scale)


def _column_number(text: str) -> int | None:
    digits = text[1:]
    return int(digits) if text.startswith("_") and digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _convert(node: Expr, target: Type) -> Expr:
    """Put in a conversion, unless the value is already of that type."""
    if node.type is target or node.type is Type.UNKNOWN:
        return node
    if target in (Type.STRING, Type.FIELD) and node.type in (Type.STRING, Type.FIELD):
        return node
    return Cast(node.pos, node, target, is_implicit=True)


def _target(other: Expr) -> Type:
    """What text becomes when it is compared with `other`."""
    if not other.type.is_number:
        return other.type
    if isinstance(other, Literal):
        # Doubles are several times faster than wide decimals, and as exact where the literal is short.
        if isinstance(other.value, int) and abs(other.value) <= _DOUBLE_INT_MAX:
            return Type.FLOAT
        if isinstance(other.value, Decimal) and len(other.value.as_tuple().digits) <= _DOUBLE_DIGITS:
            return Type.FLOAT
    return Type.FLOAT if other.type is Type.FLOAT else Type.DECIMAL


def _wider(left: Type, right: Type) -> Type:
    if Type.FLOAT in (left, right):
        return Type.FLOAT
    if Type.DECIMAL in (left, right):
        return Type.DECIMAL
    return Type.UNKNOWN if left is right is Type.UNKNOWN else Type.INT


def _common(nodes: Sequence[Expr]) -> Type:
    """The type that all results of a CASE or COALESCE can be given as; mixed kinds become text that converts."""
    types = {node.type for node in nodes} - {Type.UNKNOWN}
    if not types:
        return Type.UNKNOWN
    if len(types) == 1:
        return types.pop()
    if Type.JSON in types:
        return Type.JSON
    if all(kind.is_number for kind in types):
        return Type.FLOAT if Type.FLOAT in types else Type.DECIMAL
    return Type.FIELD


_CASTABLE: Final[dict[Type, tuple[Type, ...]]] = {
    Type.BOOL: (Type.BOOL, Type.INT, Type.FLOAT, Type.DECIMAL, Type.STRING),
    Type.INT: (Type.BOOL, Type.INT, Type.FLOAT, Type.DECIMAL, Type.STRING),
    Type.FLOAT: (Type.BOOL, Type.INT, Type.FLOAT, Type.DECIMAL, Type.STRING),
    Type.DECIMAL: (Type.BOOL, Type.INT, Type.FLOAT, Type.DECIMAL, Type.STRING),
    Type.TIMESTAMP: (Type.TIMESTAMP, Type.STRING),
}


def _is_castable(source: Type, target: Type) -> bool:
    return source not in _CASTABLE or target in _CASTABLE[source]


def _is_escaped_well(pattern: str, escape: str) -> bool:
    at = 0
    while at < len(pattern):
        if pattern[at] == escape:
            at += 1
            if at == len(pattern) or pattern[at] not in ("%", "_", escape):
                return False
        at += 1
    return True
