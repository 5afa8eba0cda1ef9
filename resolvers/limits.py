"""
The limiter: one pass over a parsed document, before validation, linear in its length.

Each fragment is measured once, however often it is spread: a document that doubles at every fragment would make a
walk over its spreads exponential. Nothing here trusts the document: it may name unknown fields and fragments, and
fragments may spread themselves; validation comes after, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from schema.directives import Cost

LISTED_FIELDS = frozenset({"edges", "nodes"})  # what a connection's size multiplies
SIZE_MAX = 10_000  # a size asked for counts as this at most: more is refused by the field itself
SUM_MAX = 10**9  # sums stop growing here; without a bound, doubling fragments make numbers of a thousand digits


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """
    What one document may be.

    Attributes:
        bytes_max: UTF-8 bytes of its text.
        depth_max: Fields within fields; introspection (`__…`) is not counted, validation has a rule for its depth.
        aliases_max: Aliases, each counted as often as its fragment is spread.
        repeats_max: Selections of one response name in one place, inline fragments included.
        fragments_max: Validation compares fields of one name, and fragments in one place, pairwise.
        cost_max: By the SDL's `@cost`.
    """

    bytes_max: int = 100_000
    tokens_max: int = 2_000
    depth_max: int = 12
    aliases_max: int = 30
    repeats_max: int = 30
    fragments_max: int = 60
    root_fields_max: int = 20
    operations_max: int = 10
    cost_max: int = 5_000


class TooComplex(Exception):
    """The document, or what it asks for, is larger than one request may be."""


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a selection set comes to. `listed` is the part of the cost that lies under `edges` and `nodes`."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    flat: int = 0
    listed: int = 0

    def and_(self, other: "_Weight") -> "_Weight":
        return _Weight(
            max(self.depth, other.depth),
            min(self.aliases + other.aliases, SUM_MAX),
            min(self.fields + other.fields, SUM_MAX),
            min(self.flat + other.flat, SUM_MAX),
            min(self.listed + other.listed, SUM_MAX),
        )


_NOTHING = _Weight()


@dataclass(frozen=True, slots=True)
class FieldCost:
    weight: int = 1
    list_size: int | None = None
    sized_by: str | None = None


def cost_table(schema: GraphQLSchema) -> dict[tuple[str, str], FieldCost]:
    """Read the `@cost` of every field of the schema, by type and field name."""
    table = {}
    for type_name, type_ in schema.type_map.items():
        fields: Mapping[str, GraphQLField] = getattr(type_, "fields", {})
        for name, definition in fields.items():
            for cost in _directives(definition):
                if isinstance(cost, Cost):
                    table[type_name, name] = FieldCost(cost.weight, cost.list_size or None, cost.sized_by or None)
    return table


def _directives(definition: GraphQLField) -> list[object]:
    origin = definition.extensions.get("strawberry-definition")
    return list(getattr(origin, "directives", None) or ())


class Limiter:
    """Holds documents against the limits; made once for a schema."""

    def __init__(self, schema: GraphQLSchema, limits: DocumentLimits) -> None:
        self._schema = schema
        self._limits = limits
        self._costs = cost_table(schema)

    def check(self, document: DocumentNode, variables: Mapping[str, Any]) -> "Measured":
        """
        Measure every operation of a document.

        Args:
            variables: As the client sent them, unchecked; sizes may hang on them.

        Raises:
            TooComplex: A limit is passed.
        """
        walk = _Walk(self._schema, self._costs, self._limits, document, variables)
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if len(operations) > self._limits.operations_max:
            raise TooComplex(f"a document has at most {self._limits.operations_max} operations")
        if len(walk.fragments) > self._limits.fragments_max:
            raise TooComplex(f"a document has at most {self._limits.fragments_max} fragments")
        for operation in operations:
            self._check(walk.operation(operation))
        for fragment in walk.fragments.values():
            # Validation looks at fragments that nobody spreads, too.
            self._check_shape(walk.fragment(fragment.name.value))
        return Measured(introspects=walk.introspects, depends_on_variables=walk.depends_on_variables)

    def _check(self, weight: _Weight) -> None:
        limits = self._limits
        self._check_shape(weight)
        if weight.fields > limits.root_fields_max:
            raise TooComplex(f"an operation has at most {limits.root_fields_max} root fields")
        if weight.flat > limits.cost_max:
            raise TooComplex(f"the operation costs {weight.flat}; at most {limits.cost_max} is allowed")

    def _check_shape(self, weight: _Weight) -> None:
        if weight.depth > self._limits.depth_max:
            raise TooComplex(f"fields are nested at most {self._limits.depth_max} deep")
        if weight.aliases > self._limits.aliases_max:
            raise TooComplex(f"an operation has at most {self._limits.aliases_max} aliases")


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What else the pass found out.

    Attributes:
        depends_on_variables: The cost is another with other variables, so a cached document is measured again.
    """

    introspects: bool
    depends_on_variables: bool


@dataclass(slots=True)
class _Walk:
    schema: GraphQLSchema
    costs: Mapping[tuple[str, str], FieldCost]
    limits: DocumentLimits
    document: DocumentNode
    variables: Mapping[str, Any]
    introspects: bool = False
    depends_on_variables: bool = False
    fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    _measured: dict[str, _Weight] = field(init=False, default_factory=dict)
    _defaults: dict[str, ValueNode] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.fragments = {
            node.name.value: node for node in self.document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def operation(self, node: OperationDefinitionNode) -> _Weight:
        # A size in a fragment may hang on a variable whose default each operation gives anew.
        self._measured.clear()
        self._defaults = {
            definition.variable.name.value: definition.default_value
            for definition in node.variable_definitions or ()
            if definition.default_value is not None
        }
        root = {
            OperationType.QUERY: self.schema.query_type,
            OperationType.MUTATION: self.schema.mutation_type,
            OperationType.SUBSCRIPTION: self.schema.subscription_type,
        }[node.operation]
        return self.selections(node.selection_set, root)

    def fragment(self, name: str) -> _Weight:
        known = self._measured.get(name)
        if known is not None:
            return known
        node = self.fragments.get(name)
        if node is None:
            return _NOTHING
        # A fragment that spreads itself weighs nothing the second time; validation refuses it.
        self._measured[name] = _NOTHING
        on = self.schema.type_map.get(node.type_condition.name.value)
        weight = self._measured[name] = self.selections(node.selection_set, on)
        return weight

    def selections(
        self, node: SelectionSetNode, parent: GraphQLNamedType | None, names: dict[str, int] | None = None
    ) -> _Weight:
        total = _NOTHING
        names = {} if names is None else names
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                name = (selection.alias or selection.name).value
                names[name] = names.get(name, 0) + 1
                if names[name] > self.limits.repeats_max:
                    raise TooComplex(f"a field is selected at most {self.limits.repeats_max} times in one place")
                total = total.and_(self.field(selection, parent))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                on = parent if condition is None else self.schema.type_map.get(condition.name.value)
                total = total.and_(self.selections(selection.selection_set, on, names))
            elif isinstance(selection, FragmentSpreadNode):
                total = total.and_(self.fragment(selection.name.value))
        return total

    def field(self, node: FieldNode, parent: GraphQLNamedType | None) -> _Weight:
        name = node.name.value
        is_introspection = name.startswith("__") or (parent is not None and parent.name.startswith("__"))
        self.introspects = self.introspects or name in {"__schema", "__type"}
        definition: GraphQLField | None = getattr(parent, "fields", {}).get(name)
        cost = self.costs.get((parent.name, name), FieldCost()) if parent is not None else FieldCost()
        below, children = _NOTHING, 0
        if node.selection_set is not None:
            type_ = get_named_type(definition.type) if definition is not None else None
            below = self.selections(node.selection_set, type_)
            children = self.children(below, type_, self.size(node, cost))
        total = min(cost.weight + children, SUM_MAX)
        return _Weight(
            depth=0 if is_introspection else below.depth + 1,
            aliases=below.aliases + (1 if node.alias is not None else 0),
            fields=1,
            flat=total,
            listed=total if name in LISTED_FIELDS else 0,
        )

    def children(self, below: _Weight, type_: GraphQLNamedType | None, size: int) -> int:
        if "pageInfo" in getattr(type_, "fields", {}):
            return below.flat - below.listed + size * below.listed
        return size * below.flat

    def size(self, node: FieldNode, cost: FieldCost) -> int:
        """Give how many things the field is taken to give: as many as it is asked for, else as the SDL assumes."""
        assumed = cost.list_size or 1
        if cost.sized_by is None:
            return assumed
        names = ("first", "last") if cost.sized_by == "first" else (cost.sized_by,)
        asked = [self.asked(argument.value) for argument in node.arguments or () if argument.name.value in names]
        found = [size for size in asked if size is not None]
        return max(found) if found else assumed

    def asked(self, node: ValueNode) -> int | None:
        if isinstance(node, VariableNode):
            self.depends_on_variables = True
            name = node.name.value
            if name in self.variables:
                return _size_of(self.variables[name])
            default = self._defaults.get(name)
            return None if default is None or isinstance(default, VariableNode) else self.asked(default)
        if isinstance(node, IntValueNode):
            return SIZE_MAX if len(node.value) > 9 else _size_of(int(node.value))
        if isinstance(node, ListValueNode):
            return _size_of(list(node.values))
        return None


def _size_of(value: object) -> int | None:
    if isinstance(value, list):
        return max(1, min(len(value), SIZE_MAX))
    if isinstance(value, int) and not isinstance(value, bool):
        return max(1, min(value, SIZE_MAX))
    return None
