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

    def select_list(self, lowering: Lowering) -> str:
        """The SELECT list for one part: per aggregate a count, a value, an order and a scale."""
        return ", ".join(part for state in self.states for part in _parts(state.node, lowering)) or "NULL"

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


def _parts(node: Aggregate, lowering: Lowering) -> tuple[str, str, str, str]:
    if node.arg is None:
        return "count(*)", "NULL", "NULL", "0"
    value = lowering.value(node.arg)
    count = f"count({value})"
    if node.name == "COUNT":
        if node.arg.type is Type.JSON:
            count = f"count(nullif({value}, 'null'::JSON))"
        return count, "NULL", "NULL", "0"
    scale = (lowering.scale_of(node.arg) or "NULL") if node.arg.type is Type.DECIMAL else "0"
    if node.name in ("SUM", "AVG"):
        return count, f"sum({value})", "NULL", f"max({scale})"
    if node.arg.type is Type.TIMESTAMP:
        order = lowering.instant(node.arg)
        return count, f"arg_{node.name.lower()}({value}, {order})", f"{node.name.lower()}({order})", "0"
    if node.arg.type is Type.DECIMAL:
        return count, f"{node.name.lower()}({value})", "NULL", f"arg_{node.name.lower()}({scale}, {value})"
    return count, f"{node.name.lower()}({value})", "NULL", "0"


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
