"""
Aggregates over a file that is read in parts: what the engine computes for each part, how parts are merged, and the
expression around them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Context, Decimal
from typing import Final

from query.dialect.check import Output
from query.dialect.nodes import Aggregate, Expr, Literal, Type, walk
from query.errors import QueryError, position_of
from query.lower import Lowering

_CONTEXT: Final = Context(prec=38)  # S3 Select's DECIMAL
_INT_MAX: Final = 2**63 - 1

Cell = int | float | str | bool | Decimal | None


@dataclass(slots=True)
class _State:
    """One aggregate while the parts come in."""

    node: Aggregate
    count: int = 0
    total: Cell = None
    order: Cell = None
    scale: int | None = 0


@dataclass(slots=True)
class Aggregation:
    """All aggregates of one query."""

    outputs: tuple[Output, ...]
    sql: str
    states: list[_State] = field(default_factory=list)

    def __post_init__(self) -> None:
        for output in self.outputs:
            for node in walk(output.expr):
                if isinstance(node, Aggregate) and all(state.node != node for state in self.states):
                    self.states.append(_State(node))

    def statement(self, lowering: Lowering, rest: str) -> str:
        """
        The statement for one part: per aggregate a count, a value, an order and a scale.

        What is aggregated is computed once, below, and counted, summed and measured by its name.
        """
        values: list[str] = []
        wanted: list[str] = []
        for number, state in enumerate(self.states):
            values.extend(f"{sql} AS {name}{number}" for name, sql in _inputs(state.node, lowering))
            wanted.extend(_parts(state.node, number))
        below = f"SELECT {', '.join(values) or '1'} {rest}"
        return f"SELECT {', '.join(wanted) or 'NULL'} FROM ({below})"  # noqa: S608  # built from the tree

    def add(self, row: Sequence[Cell]) -> None:
        """Merge what one part gave."""
        for number, state in enumerate(self.states):
            count, value, order, scale = row[4 * number : 4 * number + 4]
            if not count:
                continue
            assert isinstance(count, int)
            _merge(state, value, order)
            state.count += count
            state.scale = None if scale is None or state.scale is None else max(state.scale, int(scale))

    def results(self) -> tuple[Output, ...]:
        """The SELECT list with every aggregate replaced by its value."""
        values = {id(state.node): self._result(state) for state in self.states}
        table = [(state.node, values[id(state.node)]) for state in self.states]
        return tuple(replace(output, expr=_substitute(output.expr, table)) for output in self.outputs)

    def _result(self, state: _State) -> Literal:
        node = state.node
        if node.name == "COUNT":
            return Literal(node.pos, state.count, Type.INT)
        if state.total is None:
            return Literal(node.pos, None, node.type)
        if node.name == "AVG":
            return self._average(state)
        value = state.total
        if node.type is Type.INT and isinstance(value, int) and abs(value) > _INT_MAX:
            raise QueryError("IntegerOverflow", position=position_of(self.sql, node.pos))
        if isinstance(value, Decimal):
            value = _scaled(value, state.scale)
        if isinstance(value, float):
            value = Decimal(repr(value))
        return Literal(node.pos, value, node.type)

    def _average(self, state: _State) -> Literal:
        if isinstance(state.total, float):
            return Literal(state.node.pos, Decimal(repr(state.total / state.count)), Type.FLOAT)
        assert isinstance(state.total, (int, Decimal))
        mean = _CONTEXT.divide(Decimal(state.total), Decimal(state.count))
        least = state.scale if isinstance(state.total, Decimal) and state.scale is not None else 0
        return Literal(
            state.node.pos, _scaled(mean, None if -int(mean.as_tuple().exponent) > least else least), Type.DECIMAL
        )


def _inputs(node: Aggregate, lowering: Lowering) -> list[tuple[str, str]]:
    """The value `a`, where needed the order `o` of a time stamp and the scale `s` of a decimal."""
    if node.arg is None:
        return []
    if node.name == "COUNT" and (text := lowering.text_of_member(node.arg)) is not None:
        return [("a", text)]
    value = lowering.value(node.arg)
    if node.name == "COUNT":
        return [("a", f"nullif({value}, 'null'::JSON)" if node.arg.type is Type.JSON else value)]
    if node.arg.type is Type.TIMESTAMP:
        return [("a", value), ("o", lowering.instant(node.arg))]
    if node.arg.type is Type.DECIMAL:
        return [("a", value), ("s", lowering.scale_of(node.arg) or "NULL")]
    return [("a", value)]


def _parts(node: Aggregate, number: int) -> tuple[str, str, str, str]:
    value, order, scale = f"a{number}", f"o{number}", f"s{number}"
    if node.arg is None:
        return "count(*)", "NULL", "NULL", "0"
    count, function = f"count({value})", node.name.lower()
    if node.name == "COUNT":
        return count, "NULL", "NULL", "0"
    is_decimal = node.arg.type is Type.DECIMAL
    if node.name in ("SUM", "AVG"):
        return count, f"sum({value})", "NULL", f"max({scale})" if is_decimal else "0"
    if node.arg.type is Type.TIMESTAMP:
        return count, f"arg_{function}({value}, {order})", f"{function}({order})", "0"
    return count, f"{function}({value})", "NULL", f"arg_{function}({scale}, {value})" if is_decimal else "0"


def _merge(state: _State, value: Cell, order: Cell) -> None:
    if state.node.name == "COUNT":
        return
    if state.total is None:
        state.total, state.order = value, order
    elif state.node.name in ("SUM", "AVG"):
        state.total = _sum(state.total, value)
    else:
        _keep_extreme(state, value, order)


def _sum(left: Cell, right: Cell) -> Cell:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _CONTEXT.add(left, right)
    return left + right  # type: ignore[operator]  # both are numbers of one type


def _keep_extreme(state: _State, value: Cell, order: Cell) -> None:
    new, old = (value, state.total) if order is None else (order, state.order)
    is_better = new > old if state.node.name == "MAX" else new < old  # type: ignore[operator]  # values of one type
    if is_better:
        state.total, state.order = value, order


def _scaled(value: Decimal, scale: int | None) -> Decimal:
    if scale is None:
        plain = value.normalize(_CONTEXT)
        return plain.quantize(Decimal(1)) if int(plain.as_tuple().exponent) > 0 else plain
    return value.quantize(Decimal(1).scaleb(-scale), context=_CONTEXT)


def _substitute(node: Expr, table: list[tuple[Aggregate, Literal]]) -> Expr:
    if isinstance(node, Aggregate):
        return next(literal for aggregate, literal in table if aggregate == node)
    changes: dict[str, object] = {}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, tuple):
            changes[item.name] = tuple(_substitute(part, table) if hasattr(part, "pos") else part for part in value)
        elif hasattr(value, "pos"):
            changes[item.name] = _substitute(value, table)
    return replace(node, **changes)  # type: ignore[arg-type]  # the same fields with nodes of the same kind
