"""
From text to a document that may be executed: parsed, measured, validated; then kept.

One cache holds what passed all three, by text. What failed is never kept: a failure differs by caller.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from resolvers.limits import DocumentLimits, Limiter, Measured, TooComplex
from resolvers.masking import Refused, refused
from resolvers.plans import Plan
from schema.errors import ErrorCode

CACHE_DOCUMENTS_MAX = 500
CACHE_TEXT_BYTES_MAX = 500_000  # of all texts; a parsed document takes some fifty times its text
ERRORS_MAX = 10  # told of one document


@dataclass(frozen=True, slots=True)
class Document:
    """
    A document that passed.

    Attributes:
        operations: In order.
        plans: How operations are executed, by the id of their node; None for those that have no plan.
    """

    text: str
    node: DocumentNode
    measured: Measured
    operations: tuple[OperationDefinitionNode, ...]
    plans: dict[int, Plan | None] = field(default_factory=dict)

    def find(self, name: str | None) -> OperationDefinitionNode | None:
        """Give the operation of this name, or the only one; None where there is no such or more than one."""
        if name is None:
            return self.operations[0] if len(self.operations) == 1 else None
        return next((one for one in self.operations if one.name is not None and one.name.value == name), None)


class Documents:
    """Parses, measures and validates; keeps what passed."""

    def __init__(self, schema: GraphQLSchema, limits: DocumentLimits) -> None:
        self._schema = schema
        self._limits = limits
        self._limiter = Limiter(schema, limits)
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._text_bytes = 0

    def prepare(self, text: str, variables: Mapping[str, Any], *, is_guest: bool) -> Document:
        """
        Give the document of a text.

        Args:
            is_guest: Then errors suggest no names, and introspection is refused.

        Raises:
            Refused: It does not parse, is too complex, or does not fit the schema.
        """
        document = self._known.get(text)
        if document is None:
            document = self._read(text, variables, is_guest=is_guest)
            self._keep(text, document)
        else:
            self._known.move_to_end(text)
            if document.measured.depends_on_variables:
                self._measure(document.node, variables)
        if is_guest and document.measured.introspects:
            raise refused(ErrorCode.UNAUTHENTICATED, "introspection needs a log-in; the SDL is in the documentation")
        return document

    def _read(self, text: str, variables: Mapping[str, Any], *, is_guest: bool) -> Document:
        if len(text.encode(errors="replace")) > self._limits.bytes_max:
            raise refused(ErrorCode.QUERY_TOO_COMPLEX, f"a document has at most {self._limits.bytes_max} bytes")
        try:
            node = self._parse(text)
            measured = self._measure(node, variables)
            if is_guest and measured.introspects:
                # Before validation: its errors would say what there is.
                raise refused(
                    ErrorCode.UNAUTHENTICATED, "introspection needs a log-in; the SDL is in the documentation"
                )
            errors = validate(self._schema, node, specified_rules, ERRORS_MAX, hide_suggestions=is_guest)
        except RecursionError as error:
            raise refused(ErrorCode.QUERY_TOO_COMPLEX, "the document is nested too deeply") from error
        if errors:
            raise Refused(errors, ErrorCode.GRAPHQL_VALIDATION_FAILED)
        operations = tuple(one for one in node.definitions if isinstance(one, OperationDefinitionNode))
        return Document(text, node, measured, operations)

    def _parse(self, text: str) -> DocumentNode:
        try:
            return parse(text, max_tokens=self._limits.tokens_max)
        except GraphQLSyntaxError as error:
            # Too many tokens, or nested too deeply for the parser.
            is_too_much = error.message.endswith("Parsing aborted.")
            code = ErrorCode.QUERY_TOO_COMPLEX if is_too_much else ErrorCode.GRAPHQL_PARSE_FAILED
            raise Refused([error], code) from error
        except GraphQLError as error:
            raise Refused([error], ErrorCode.GRAPHQL_PARSE_FAILED) from error

    def _measure(self, node: DocumentNode, variables: Mapping[str, Any]) -> Measured:
        try:
            return self._limiter.check(node, variables)
        except TooComplex as error:
            raise refused(ErrorCode.QUERY_TOO_COMPLEX, str(error)) from error

    def _keep(self, text: str, document: Document) -> None:
        self._known[text] = document
        self._text_bytes += len(text)
        while len(self._known) > CACHE_DOCUMENTS_MAX or self._text_bytes > CACHE_TEXT_BYTES_MAX:
            forgotten, _ = self._known.popitem(last=False)
            self._text_bytes -= len(forgotten)
