"""
One operation, whichever transport it came by: prepared, executed, its errors masked. Knows no HTTP and no socket.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Hashable, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from graphql.execution.collect_fields import GroupedFieldSet
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from resolvers.context import RequestContext
from resolvers.documents import Document, Documents
from resolvers.leaves import NOT_READ, Leaf, Leaves, leaves_of, read
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused, masked, refused
from resolvers.sharing import Answer, SharedAnswers, group_of, is_personal, key_of
from schema.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asks for, read but not yet prepared."""

    text: str
    name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that may be executed."""

    operation: Operation
    document: Document
    node: OperationDefinitionNode

    @property
    def is_subscription(self) -> bool:
        return self.node.operation is OperationType.SUBSCRIPTION

    @property
    def is_mutation(self) -> bool:
        return self.node.operation is OperationType.MUTATION


class PlainExecutor(Executor[RequestContext]):
    """
    graphql-core's executor without incremental delivery, and with Strawberry's resolve info.

    graphql-core 3.3.1 and 3.3.2 share `_relevant_sub_fields` between the executors of a subscription's events. It is
    keyed by lists that are new at every event, so it never hits and grows by 1-2 KB an event. Each event gets its own.
    """

    def __init__(self, *args: Any, leaves: Leaves, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaves = leaves
        self.operation_extensions: dict[str, Any] = {}
        self._leaf_plans: dict[int, tuple[GroupedFieldSet, dict[str, Leaf]]] = {}

    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """Read the leaves the short way, and leave the rest to graphql-core; the answer keeps the order asked for."""
        leaves = self._leaves_in(parent_type, grouped_field_set)
        if not leaves:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        results: dict[str, Any] = dict.fromkeys(grouped_field_set)
        rest: GroupedFieldSet = {}
        for name, details in grouped_field_set.items():
            leaf = leaves.get(name)
            value = NOT_READ if leaf is None else read(leaf, source_value)
            if value is NOT_READ:
                rest[name] = details
            else:
                results[name] = value
        if not rest:
            return results
        others: Any = super().execute_fields(parent_type, source_value, path, rest, position_context)
        if self.is_awaitable(others):
            return _joined(results, others)
        results.update(others)
        return results

    def _leaves_in(self, parent_type: GraphQLObjectType, fields: GroupedFieldSet) -> dict[str, Leaf]:
        # Fields are grouped once for all items of a list; kept with the answer, so that the id cannot be used again.
        known = self._leaf_plans.get(id(fields))
        if known is not None:
            return known[1]
        of_type = self.leaves
        found = {
            name: leaf
            for name, details in fields.items()
            if (leaf := of_type.get((parent_type.name, details[0].node.name.value))) is not None
        }
        self._leaf_plans[id(fields)] = fields, found
        return found

    def build_per_event_executor(self, payload: Any) -> "PlainExecutor":
        executor = copy(self)
        executor.root_value = payload
        executor.collected_errors = CollectedErrors()
        executor._relevant_sub_fields = {}
        executor._leaf_plans = {}
        executor.context_value = self.context_value.renew()
        return executor


class Engine:
    """The schema with everything around it that a transport needs."""

    def __init__(self, schema: strawberry.Schema, limits: DocumentLimits) -> None:
        self._schema: GraphQLSchema = schema._schema
        self._documents = Documents(self._schema, limits)
        self._shared = SharedAnswers()
        self._leaves = leaves_of(self._schema)

    def prepare(self, operation: Operation, *, is_guest: bool) -> Prepared:
        """
        Find out what is asked for, and whether it may be.

        Raises:
            Refused: It will not be executed.
        """
        document = self._documents.prepare(operation.text, operation.variables, is_guest=is_guest)
        node = document.find(operation.name)
        if node is None:
            raise refused(ErrorCode.BAD_REQUEST, _no_operation(document, operation.name))
        # Of a thousand who ask the same only one text is kept.
        return Prepared(replace(operation, text=document.text), document, node)

    async def execute(self, prepared: Prepared, context: RequestContext) -> dict[str, Any]:
        """
        Execute a query or mutation.

        Raises:
            Refused: The variables do not fit.
        """
        executor = self._build(prepared, context)
        result = executor.execute_operation()
        if executor.is_awaitable(result):
            result = await result
        return _answer(result, context)  # type: ignore[arg-type]  # incremental results are another executor's

    async def subscribe(self, prepared: Prepared, context: RequestContext) -> AsyncGenerator[Answer, None]:
        """
        Execute a subscription; the caller closes. Errors of single events are in their answers.

        Raises (from the iteration):
            Refused: The variables do not fit, or the stream could not begin or go on.
        """
        executor = self._build(prepared, context)
        asked = _asked(prepared, context)
        stream = create_source_event_stream(executor)
        if executor.is_awaitable(stream):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            raise _failed(stream.errors or [], context)
        source = _as_generator(stream)  # type: ignore[arg-type]
        async with aclosing(source):
            try:
                async for payload in source:
                    work_out = partial(_answer_event, executor, payload)
                    key = None if asked is None else key_of(payload)
                    yield await (work_out() if key is None else self._shared.get((asked, key), work_out))
            except Exception as error:
                # The boundary of this face for streams: what the source raises ends the operation, masked.
                raise _failed([GraphQLError(str(error), original_error=error)], context) from error

    async def answers(self, prepared: Prepared, context: RequestContext) -> AsyncGenerator[Answer, None]:
        """Yield every answer of an operation: one of a query or mutation, any number of a subscription."""
        if not prepared.is_subscription:
            yield await self.execute(prepared, context)
            return
        async with aclosing(self.subscribe(prepared, context)) as stream:
            async for answer in stream:
                yield answer

    def _build(self, prepared: Prepared, context: RequestContext) -> PlainExecutor:
        executor = PlainExecutor.build(
            self._schema,
            prepared.document.node,
            context_value=context,
            raw_variable_values=dict(prepared.operation.variables),
            operation_name=prepared.operation.name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # Strawberry types it as a plain bool
            hide_suggestions=context.principal.is_guest,
            leaves=self._leaves,
        )
        if isinstance(executor, list):
            raise Refused(executor, ErrorCode.BAD_REQUEST)
        assert isinstance(executor, PlainExecutor)
        return executor


async def _answer_event(executor: PlainExecutor, payload: object) -> dict[str, Any]:
    result = execute_subscription_event(executor.build_per_event_executor(payload))
    if executor.is_awaitable(result):
        result = await result
    return _answer(result, executor.context_value)  # type: ignore[arg-type]


def _asked(prepared: Prepared, context: RequestContext) -> Hashable | None:
    """Name what is asked, and on whose behalf as far as that makes a difference; None: it has no name."""
    operation = prepared.operation
    try:
        variables = orjson.dumps(operation.variables, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None  # past 64 bits, or nested without end
    group = group_of(context.principal, is_personal=is_personal(prepared.document.node))
    return operation.text, operation.name, variables, group


async def _joined(results: dict[str, Any], others: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    results.update(await others)
    return results


def _as_generator(stream: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    assert isinstance(stream, AsyncGenerator), "every subscription of ours is an async generator"
    return stream


def _answer(result: ExecutionResult, context: RequestContext) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [masked(error, request_id=context.request_id) for error in result.errors]
    return answer


class Failed(Refused):
    """A stream that could not begin or go on; its errors are masked already."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        super().__init__([GraphQLError("the subscription failed")], ErrorCode.INTERNAL)
        self.entries = entries

    def formatted(self) -> list[dict[str, Any]]:
        return self.entries


def _failed(errors: list[GraphQLError], context: RequestContext) -> Failed:
    return Failed([masked(error, request_id=context.request_id) for error in errors])


def _no_operation(document: Document, name: str | None) -> str:
    if not document.operations:
        return "the document has no operation"
    return "give operationName: the document has several operations" if name is None else "there is no such operation"
