"""
A shorter way for the fields that answers are mostly made of: an attribute of a value, written as a scalar or enum.

graphql-core builds a path, a resolve info and an argument list for every value. A leaf that is only read needs none
of them. Where anything is not as expected (null where there must be none, a value that cannot be written) the way is
left, and graphql-core does the field again and tells the error: so answers are the same, which a test proves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLID,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    get_nullable_type,
    is_leaf_type,
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """
    A field that is only read.

    Attributes:
        write: Makes of the value what goes into the answer; None: a text is its own form.
    """

    attribute: str
    write: Callable[[Any], Any] | None
    is_nullable: bool


Leaves: TypeAlias = Mapping[tuple[str, str], Leaf]


def leaves_of(schema: GraphQLSchema) -> Leaves:
    """Find the leaves of every object type, by type and field name."""
    return {
        (type_.name, name): leaf
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if (leaf := _leaf(field)) is not None
    }


def _leaf(field: GraphQLField) -> Leaf | None:
    origin = field.extensions.get("strawberry-definition")
    named = get_nullable_type(field.type)
    if origin is None or not origin.is_basic_field or field.args or not is_leaf_type(named):
        return None
    write = None if named in (GraphQLString, GraphQLID) else named.coerce_output_value
    return Leaf(origin.python_name, write, not isinstance(field.type, GraphQLNonNull))


NOT_READ = object()


def read(leaf: Leaf, source: Any) -> Any:
    """Give what goes into the answer, or NOT_READ where graphql-core has to do it."""
    value = getattr(source, leaf.attribute, NOT_READ)
    if value is None:
        return None if leaf.is_nullable else NOT_READ
    if leaf.write is None:
        return value if type(value) is str else NOT_READ
    try:
        written = leaf.write(value)
    except Exception:
        return NOT_READ
    return NOT_READ if written is None else written
