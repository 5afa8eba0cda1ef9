"""
One operation, whichever transport it came by: prepared, executed, its errors masked. Knows no HTTP and no socket.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Hashable, Mapping
from contextlib import aclosing, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from resolvers.context import RequestContext
from resolvers.documents import Document, Documents
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused, masked, refused
from resolvers.plans import EventPlan, Plan, Planner, QueryPlan, Unplanned
from resolvers.sharing import Answer, SharedAnswers, group_of, is_personal, key_of
from schema.errors import ErrorCode

COERCION_ERRORS_MAX = 50  # told of one set of variables


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operation_extensions: dict[str, Any] = {}

    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    def build_per_event_executor(self, payload: Any) -> "PlainExecutor":
        executor = copy(self)
        executor.root_value = payload
        executor.collected_errors = CollectedErrors()
        executor._relevant_sub_fields = {}
        executor.context_value = self.context_value.renew()
        return executor


class Engine:
    """The schema with everything around it that a transport needs."""

    def __init__(self, schema: strawberry.Schema, limits: DocumentLimits) -> None:
        self._schema: GraphQLSchema = schema._schema
        self._documents = Documents(self._schema, limits)
        self._shared = SharedAnswers()
        self._planner = Planner(schema)

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
        plan = self._plan(prepared)
        if isinstance(plan, QueryPlan):
            with suppress(Unplanned):
                data, errors = await plan.execute(context, self._variables(prepared, context))
                return _answer(ExecutionResult(data, errors), context)
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
        executor, plan = self._build(prepared, context), self._plan(prepared)
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
                    work_out = partial(_answer_event, executor, plan, payload)
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

    def _plan(self, prepared: Prepared) -> Plan | None:
        plans, node = prepared.document.plans, prepared.node
        place = id(node)  # the document holds its nodes for as long as its plans
        if place not in plans:
            plans[place] = self._planner.plan(prepared.document.node, node)
        return plans[place]

    def _variables(self, prepared: Prepared, context: RequestContext) -> VariableValues | None:
        definitions = prepared.node.variable_definitions
        if not definitions:
            return None
        given, is_guest = dict(prepared.operation.variables), context.principal.is_guest
        found = get_variable_values(self._schema, definitions, given, COERCION_ERRORS_MAX, hide_suggestions=is_guest)
        if isinstance(found, list):
            raise Refused(found, ErrorCode.BAD_REQUEST)
        return found

    def _build(self, prepared: Prepared, context: RequestContext) -> PlainExecutor:
        executor = PlainExecutor.build(
            self._schema,
            prepared.document.node,
            context_value=context,
            raw_variable_values=dict(prepared.operation.variables),
            operation_name=prepared.operation.name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # Strawberry types it as a plain bool
            hide_suggestions=context.principal.is_guest,
        )
        if isinstance(executor, list):
            raise Refused(executor, ErrorCode.BAD_REQUEST)
        assert isinstance(executor, PlainExecutor)
        return executor


async def _answer_event(executor: PlainExecutor, plan: Plan | None, payload: object) -> dict[str, Any]:
    if isinstance(plan, EventPlan):
        with suppress(Unplanned):
            context = executor.context_value.renew()
            return {"data": await plan.execute(payload, context, executor.variable_values)}
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
