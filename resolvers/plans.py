"""
Operations as plans: what graphql-core finds out anew for every value is found out once for a document.

graphql-core builds a path, a resolve info and an argument list for each field of each thing. A plan knows of each
selection set which attributes to read and how each is written, and calls a resolver with arguments that were worked
out once. Where anything is not as expected (null where there must be none, a value that cannot be written, an error
below a root field) the plan is given up, and graphql-core does the whole operation again and tells the error. So
answers are the same, which a test proves over every field; and so only what reads has a plan: a query, and what
is shown of an event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutine
from operator import attrgetter
from typing import Any, TypeAlias

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    is_leaf_type,
    located_error,
)
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from schema.fields import key_of

INT_MAX = 2**31 - 1  # GraphQL's own Int
TYPES_SEEN_MAX = 64  # ways in which the nullable leaves of one selection are there or not

Answer: TypeAlias = dict[str, Any]


class Unplanned(Exception):
    """Something is not as expected: graphql-core has to do it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What resolvers are given as their info: of Strawberry's they use the context alone, which a test sees to."""

    context: Any


@dataclass(slots=True)
class Run:
    """
    One execution of a plan.

    Attributes:
        waiting: What is still to be awaited: the awaitable, and what to do with its outcome.
        arguments: Of each field that has some, worked out once.
        shared: What fields gave that give the same for many things.
    """

    asking: Asking
    variables: VariableValues | None
    waiting: list[tuple[Awaitable[Any], Callable[[Any], None]]] = field(default_factory=list)
    arguments: dict[int, dict[str, Any]] = field(default_factory=dict)
    shared: dict[tuple[int, Hashable], "_Shared"] = field(default_factory=dict)

    async def settle(self) -> None:
        """Await all that waits, and what comes to wait meanwhile; raises what any of it does."""
        while self.waiting:
            batch, self.waiting = self.waiting, []
            if len(batch) == 1:
                [(awaitable, done)] = batch
                done(await awaitable)
                continue
            outcomes = await asyncio.gather(*(awaitable for awaitable, _ in batch), return_exceptions=True)
            for (_, done), outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                done(outcome)

    def abandon(self) -> None:
        """Leave nothing that was begun and is never awaited."""
        for awaitable, _ in self.waiting:
            if iscoroutine(awaitable):
                awaitable.close()


@dataclass(slots=True)
class _Shared:
    """What a field gives for all things that are the same to it, or who waits for that."""

    value: Any = None
    is_known: bool = False
    places: list[tuple[Answer, str]] = field(default_factory=list)

    def give(self, answer: Answer, name: str) -> None:
        if self.is_known:
            answer[name] = self.value
        else:
            self.places.append((answer, name))

    def tell(self, value: Any) -> None:
        self.value, self.is_known = value, True
        for answer, name in self.places:
            answer[name] = value


Complete: TypeAlias = Callable[[Any, Run], Any]
"""Makes of what a field gave what goes into the answer; raises Unplanned."""


class Selection:
    """What is asked of things of one type."""

    def __init__(self, names: Mapping[str, Any], leaves: Sequence["_Leaf"], parts: Sequence["_Part"]) -> None:
        self._names = dict(names)
        self._leaves = list(leaves)
        self._leaf_names = [leaf.name for leaf in leaves]
        self._written = [(leaf.name, leaf.write) for leaf in leaves if leaf.write is not None]
        self._read = _reader([leaf.attribute for leaf in leaves])
        self._types_seen: set[tuple[type, ...]] = set()
        self._parts = list(parts)

    def of(self, source: Any, run: Run) -> Answer:
        """Give the answer for one thing; parts of it may come later."""
        answer = self._names.copy()
        values = self._read(source)
        types = tuple(map(type, values))
        if types not in self._types_seen:
            self._check(types)
        answer.update(zip(self._leaf_names, values, strict=True))
        for name, write in self._written:
            value = answer[name]
            if value is not None:
                written = answer[name] = write(value)
                if written is None:
                    raise Unplanned
        for part in self._parts:
            part.into(answer, source, run)
        return answer

    def _check(self, types: tuple[type, ...]) -> None:
        """Find out whether values of these types can be written: once, not for each of a thousand things."""
        for leaf, type_ in zip(self._leaves, types, strict=True):
            if type_ is type(None) and not leaf.is_nullable:
                raise Unplanned
            if type_ is not type(None) and leaf.type is not None and type_ is not leaf.type:
                raise Unplanned
        if len(self._types_seen) < TYPES_SEEN_MAX:
            self._types_seen.add(types)


def _reader(attributes: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Give what reads these attributes of a thing at once."""
    if not attributes:
        return lambda _source: ()
    if len(attributes) > 1:
        return attrgetter(*attributes)
    read = attrgetter(attributes[0])
    return lambda source: (read(source),)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """
    A field that is an attribute and is written as a scalar or enum.

    Attributes:
        type: What its values must be, where that is all there is to know of them.
        write: Makes of a value what goes into the answer; None: it is its own form.
    """

    name: str
    attribute: str
    is_nullable: bool
    type: type | None
    write: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Part:
    """
    A field that is more than that.

    Attributes:
        call: Gives its value, or what to await for it.
        key: Things with the same key have the same value, which is then worked out once.
    """

    name: str
    nodes: list[FieldNode]
    type: GraphQLOutputType
    call: Callable[[Any, Run], Any]
    complete: Complete
    key: Callable[[Any], Hashable] | None = None

    def into(self, answer: Answer, source: Any, run: Run) -> None:
        if self.key is None:
            self._begin(source, run, lambda value: answer.__setitem__(self.name, self.complete(value, run)))
            return
        key = id(self), self.key(source)
        shared = run.shared.get(key)
        if shared is None:
            shared = run.shared[key] = _Shared()
            shared.give(answer, self.name)
            self._begin(source, run, lambda value: shared.tell(self.complete(value, run)))
        else:
            shared.give(answer, self.name)

    def _begin(self, source: Any, run: Run, done: Callable[[Any], None]) -> None:
        value = self.call(source, run)
        if iscoroutine(value):
            run.waiting.append((value, done))
        else:
            done(value)


class QueryPlan:
    """A query."""

    def __init__(self, names: Mapping[str, Any], parts: Sequence[_Part]) -> None:
        self._names = dict(names)
        self._parts = list(parts)

    async def execute(self, context: Any, variables: VariableValues | None) -> tuple[Answer | None, list[GraphQLError]]:
        """
        Give the data, and the errors of root fields.

        Raises:
            Unplanned: As plans do.
        """
        run = Run(Asking(context), variables)
        try:
            outcomes = await self._resolve(run)
            answer, errors = self._names.copy(), []
            is_null = False
            for part, outcome in zip(self._parts, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    errors.append(located_error(outcome, part.nodes, [part.name]))
                    is_null = is_null or isinstance(part.type, GraphQLNonNull)
                else:
                    answer[part.name] = part.complete(outcome, run)
            if not is_null:
                await run.settle()
        except Unplanned:
            raise
        except Exception as error:
            # graphql-core meets it again, and tells it.
            raise Unplanned from error
        finally:
            run.abandon()
        return None if is_null else answer, errors

    async def _resolve(self, run: Run) -> list[Any]:
        """Ask every root field; gives values, and what was raised instead of them."""
        if len(self._parts) == 1:
            try:
                value = self._parts[0].call(None, run)
                return [await value if iscoroutine(value) else value]
            except Unplanned:
                raise
            except Exception as error:
                return [error]
        outcomes = await asyncio.gather(*(_outcome(part.call, run) for part in self._parts), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Unplanned) or (
                isinstance(outcome, BaseException) and not isinstance(outcome, Exception)
            ):
                raise outcome
        return outcomes


async def _outcome(call: Callable[[Any, Run], Any], run: Run) -> Any:
    value = call(None, run)
    return await value if iscoroutine(value) else value


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What is shown of a subscription's events."""

    name: str
    complete: Complete

    async def execute(self, payload: Any, context: Any, variables: VariableValues | None) -> Answer:
        """Give the data of one event; raises Unplanned."""
        run = Run(Asking(context), variables)
        try:
            answer = {self.name: self.complete(payload, run)}
            await run.settle()
        except Unplanned:
            raise
        except Exception as error:
            raise Unplanned from error
        finally:
            run.abandon()
        return answer


Plan: TypeAlias = QueryPlan | EventPlan


class Planner:
    """Makes plans for one schema."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema: GraphQLSchema = schema._schema
        self._converter = schema.schema_converter

    def plan(self, document: DocumentNode, operation: OperationDefinitionNode) -> Plan | None:
        """Give the plan of a validated operation; None: it asks for what plans do not know."""
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        work = _Planning(self._schema, self._converter, fragments)
        try:
            if operation.operation is OperationType.QUERY and self._schema.query_type is not None:
                names, parts = work.root(operation, self._schema.query_type)
                return QueryPlan(names, parts)
            if operation.operation is OperationType.SUBSCRIPTION and self._schema.subscription_type is not None:
                names, parts = work.root(operation, self._schema.subscription_type)
                if len(names) == len(parts) == 1:
                    return EventPlan(parts[0].name, parts[0].complete)
        except Unplanned:
            return None
        return None


@dataclass(slots=True)
class _Planning:
    schema: GraphQLSchema
    converter: Any
    fragments: Mapping[str, FragmentDefinitionNode]

    def root(self, operation: OperationDefinitionNode, type_: GraphQLObjectType) -> tuple[dict[str, Any], list[_Part]]:
        if operation.directives:
            raise Unplanned
        names: dict[str, Any] = {}
        parts = []
        for name, nodes in self._collected([operation.selection_set], type_).items():
            names[name] = type_.name if nodes[0].name.value == "__typename" else None
            if names[name] is None:
                parts.append(self._part(type_, name, nodes))
        return names, parts

    # ---- what is asked for

    def _collected(self, sets: Sequence[SelectionSetNode], type_: GraphQLObjectType) -> dict[str, list[FieldNode]]:
        """Group fields by the name that they have in the answer, in the order of their first."""
        found: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for one in sets:
            self._collect(one, type_, found, seen)
        return found

    def _collect(
        self, node: SelectionSetNode, type_: GraphQLObjectType, found: dict[str, list[FieldNode]], seen: set[str]
    ) -> None:
        for selection in node.selections:
            if selection.directives:
                raise Unplanned  # @skip and @include
            if isinstance(selection, FieldNode):
                found.setdefault((selection.alias or selection.name).value, []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                if on is None or self._holds(on.name.value, type_):
                    self._collect(selection.selection_set, type_, found, seen)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
                seen.add(selection.name.value)
                fragment = self.fragments[selection.name.value]
                if self._holds(fragment.type_condition.name.value, type_):
                    self._collect(fragment.selection_set, type_, found, seen)

    def _holds(self, name: str, type_: GraphQLObjectType) -> bool:
        on = self.schema.type_map[name]
        return on is type_ or (
            isinstance(on, GraphQLInterfaceType | GraphQLUnionType) and self.schema.is_sub_type(on, type_)
        )

    # ---- how it is answered

    def _selection(self, nodes: Sequence[FieldNode], type_: GraphQLObjectType) -> Selection:
        names: dict[str, Any] = {}
        leaves, parts = [], []
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        for name, found in self._collected(sets, type_).items():
            if found[0].name.value == "__typename":
                names[name] = type_.name
                continue
            names[name] = None
            leaf = self._leaf(type_, name, found[0])
            if leaf is not None:
                leaves.append(leaf)
            else:
                parts.append(self._part(type_, name, found))
        return Selection(names, leaves, parts)

    def _definition(self, type_: GraphQLObjectType, node: FieldNode) -> tuple[GraphQLField, StrawberryField]:
        definition = type_.fields.get(node.name.value)
        origin = None if definition is None else definition.extensions.get("strawberry-definition")
        if definition is None or not isinstance(origin, StrawberryField) or origin.extensions:
            raise Unplanned  # introspection, or what something is wrapped around
        return definition, origin

    def _leaf(self, type_: GraphQLObjectType, name: str, node: FieldNode) -> _Leaf | None:
        definition, origin = self._definition(type_, node)
        is_nullable, named = True, definition.type
        if isinstance(named, GraphQLNonNull):
            is_nullable, named = False, named.of_type
        if not origin.is_basic_field or definition.args or not is_leaf_type(named):
            return None
        attribute = origin.python_name
        if named in (GraphQLString, GraphQLID):
            return _Leaf(name, attribute, is_nullable, str, None)
        if named is GraphQLBoolean:
            return _Leaf(name, attribute, is_nullable, bool, None)
        if isinstance(named, GraphQLEnumType) and not is_nullable:
            # By the member's value: a member's own hash is worked out in Python, each time.
            names = {value.value: key for key, value in named.values.items()}
            return _Leaf(name, f"{attribute}._value_", is_nullable, None, names.__getitem__)
        return _Leaf(name, attribute, is_nullable, None, writer(named))

    def _part(self, type_: GraphQLObjectType, name: str, nodes: list[FieldNode]) -> _Part:
        definition, origin = self._definition(type_, nodes[0])
        complete = self._completion(definition.type, nodes)
        if origin.is_basic_field:
            return _Part(name, nodes, definition.type, _attribute(origin.python_name), complete)
        call = self._call(definition, origin, nodes[0])
        return _Part(name, nodes, definition.type, call, complete, key_of(origin))

    def _call(self, definition: GraphQLField, origin: StrawberryField, node: FieldNode) -> Callable[[Any, Run], Any]:
        resolver = origin.base_resolver
        if resolver is None or resolver.root_parameter or resolver.parent_parameter:
            raise Unplanned
        function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]  # no class or static method
        parameter = resolver.info_parameter
        info_name = None if parameter is None else parameter.name
        takes_source = bool(resolver.self_parameter)
        arguments = self._arguments(definition, origin, node)

        def call(source: Any, run: Run) -> Any:
            given = arguments(run)
            if info_name is not None:
                given = {**given, info_name: run.asking}
            return function(source, **given) if takes_source else function(**given)

        return call

    def _arguments(
        self, definition: GraphQLField, origin: StrawberryField, node: FieldNode
    ) -> Callable[[Run], dict[str, Any]]:
        """Give what works out a field's arguments: now where they are in the document, else once in each run."""

        def work_out(variables: VariableValues | None) -> dict[str, Any]:
            try:
                values = get_argument_values(definition, node, variables)
            except GraphQLError as error:
                raise Unplanned from error
            return convert_arguments(values, origin.arguments, self.converter.scalar_registry, self.converter.config)

        if not any(_holds_variable(argument.value) for argument in node.arguments or ()):
            fixed = work_out(None)
            return lambda _run: fixed
        place = id(node)

        def arguments(run: Run) -> dict[str, Any]:
            known = run.arguments.get(place)
            if known is None:
                known = run.arguments[place] = work_out(run.variables)
            return known

        return arguments

    # ---- values

    def _completion(self, type_: GraphQLOutputType, nodes: list[FieldNode]) -> Complete:
        if isinstance(type_, GraphQLNonNull):
            return _never_null(self._completion(type_.of_type, nodes))
        if isinstance(type_, GraphQLList):
            return self._list(type_, nodes)
        if isinstance(type_, GraphQLObjectType):
            return self._object(type_, nodes)
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            return self._any_of(type_, nodes)
        return _written_by(writer(type_))

    def _list(self, type_: GraphQLList[Any], nodes: list[FieldNode]) -> Complete:
        inner = type_.of_type
        if not isinstance(inner, GraphQLNonNull) or not isinstance(inner.of_type, GraphQLObjectType):
            return _each(self._completion(inner, nodes))
        of, kind = self._selection(nodes, inner.of_type).of, _checked_class_of(inner.of_type)

        def complete(value: Any, run: Run) -> Any:
            if value is None:
                return None
            if not isinstance(value, list | tuple) or not all(isinstance(item, kind) for item in value):
                raise Unplanned
            return [of(item, run) for item in value]

        return complete

    def _object(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> Complete:
        of, kind = self._selection(nodes, type_).of, _checked_class_of(type_)

        def complete(value: Any, run: Run) -> Any:
            if value is None:
                return None
            if not isinstance(value, kind):
                raise Unplanned
            return of(value, run)

        return complete

    def _any_of(self, type_: GraphQLAbstractType, nodes: list[FieldNode]) -> Complete:
        selections = {_class_of(one): self._selection(nodes, one) for one in self.schema.get_possible_types(type_)}

        def complete(value: Any, run: Run) -> Any:
            if value is None:
                return None
            selection = selections.get(type(value))
            if selection is None:
                raise Unplanned
            return selection.of(value, run)

        return complete


def _holds_variable(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(_holds_variable(item) for item in value.values)
    if isinstance(value, ObjectValueNode):
        return any(_holds_variable(entry.value) for entry in value.fields)
    return isinstance(value, VariableNode)


def _class_of(type_: GraphQLObjectType) -> type[Any]:
    origin: type[Any] = type_.extensions["strawberry-definition"].origin
    return origin


def _checked_class_of(type_: GraphQLObjectType) -> type[Any]:
    """Give of which class things of a type must be. Strawberry checks that of what has an interface."""
    return object if type_.is_type_of is None else _class_of(type_)


def _attribute(name: str) -> Callable[[Any, Run], Any]:
    read = attrgetter(name)
    return lambda source, _run: read(source)


def _never_null(complete: Complete) -> Complete:
    def completed(value: Any, run: Run) -> Any:
        found = complete(value, run)
        if found is None:
            raise Unplanned
        return found

    return completed


def _each(complete: Complete) -> Complete:
    def completed(value: Any, run: Run) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise Unplanned
        return [complete(item, run) for item in value]

    return completed


def _written_by(write: Callable[[Any], Any]) -> Complete:
    def completed(value: Any, _run: Run) -> Any:
        written = None if value is None else write(value)
        if written is None and value is not None:
            raise Unplanned
        return written

    return completed


# ---- leaves


def writer(type_: GraphQLNamedType) -> Callable[[Any], Any]:
    """Give what writes a value of a scalar or enum, as graphql-core would; it raises where that would fail."""
    if type_ in (GraphQLString, GraphQLID):
        return _write_text
    if type_ is GraphQLInt:
        return _write_int
    if type_ is GraphQLBoolean:
        return _write_boolean
    if isinstance(type_, GraphQLEnumType):
        members = type_.wrapped_cls  # type: ignore[attr-defined]  # Strawberry's own kind of enum type
        return {members(value.value): name for name, value in type_.values.items()}.__getitem__
    write: Callable[[Any], Any] = type_.coerce_output_value  # type: ignore[attr-defined]
    return write


def _write_text(value: Any) -> Any:
    if type(value) is not str:
        raise Unplanned
    return value


def _write_int(value: Any) -> Any:
    if type(value) is not int or not -INT_MAX - 1 <= value <= INT_MAX:
        raise Unplanned
    return value


def _write_boolean(value: Any) -> Any:
    if type(value) is not bool:
        raise Unplanned
    return value
