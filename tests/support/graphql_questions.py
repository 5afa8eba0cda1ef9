"""Questions made from the schema: for each root field the operation that asks for it, and what it answered."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from resolvers.root import build_schema, directives_of
from schema.directives import Auth

SCHEMA = build_schema()._schema
FIELDS: dict[tuple[str, str], GraphQLField] = {
    (kind, name): field
    for kind, root in (
        ("query", SCHEMA.query_type),
        ("mutation", SCHEMA.mutation_type),
        ("subscription", SCHEMA.subscription_type),
    )
    if root is not None
    for name, field in root.fields.items()
}


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table of tab-separated cells, the first line of which names the columns."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def auth_of(field: GraphQLField) -> Auth | None:
    return next((one for one in directives_of(field) if isinstance(one, Auth)), None)


def question(kind: str, name: str, arguments: Mapping[str, Any], *, depth: int = 2, whole: bool = False) -> str:
    """
    Write the operation for a root field with these arguments as variables.

    Args:
        whole: Ask for every field there is so many levels down, each leaf under another name too; else for what is
            near at hand: no other way to the same, nothing that has rights of its own, costs much or takes arguments.
    """
    field = FIELDS[kind, name]
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in arguments)
    passed = ", ".join(f"{key}: ${key}" for key in arguments)
    return (
        f"{kind}{f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''}"
        f" {_selection(get_named_type(field.type), depth=depth, whole=whole)} }}"
    )


def question_of_tenant(name: str, arguments: Mapping[str, Any]) -> str:
    """Write the query for a field of the caller's tenant."""
    tenant = SCHEMA.type_map["Tenant"]
    assert isinstance(tenant, GraphQLObjectType)
    field = tenant.fields[name]
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in arguments)
    passed = ", ".join(f"{key}: ${key}" for key in arguments)
    selection = _selection(get_named_type(field.type), depth=2, whole=False)
    return f"query({declared}) {{ tenant {{ {name}({passed}) {selection} }} }}"


def _selection(type_: Any, *, depth: int, whole: bool) -> str:
    if is_leaf_type(type_):
        return ""
    if isinstance(type_, GraphQLObjectType):
        return f"{{ __typename {' '.join(_fields(type_.fields, depth=depth, whole=whole))} }}"
    chosen, seen = ["__typename"], dict[str, str]()
    for member in SCHEMA.get_possible_types(type_):
        # Of two types' fields of one name both can only be asked for where they are of one type.
        same = {key: one for key, one in member.fields.items() if seen.setdefault(key, str(one.type)) == str(one.type)}
        chosen.append(f"... on {member.name} {{ {' '.join(_fields(same, depth=depth, whole=whole))} }}")
    return f"{{ {' '.join(chosen)} }}"


def _fields(fields: Mapping[str, GraphQLField], *, depth: int, whole: bool) -> list[str]:
    return [text for key, field in fields.items() if (text := _field(key, field, depth, whole=whole))]


def _field(name: str, field: GraphQLField, depth: int, *, whole: bool) -> str | None:
    named = get_named_type(field.type)
    if not whole and (name in {"edges", "totalCount", "sqlSchema"} or auth_of(field) is not None):
        return None
    if any(is_required_argument(one) for one in field.args.values()):
        return None
    if is_leaf_type(named):
        return f"{name} other_{name}: {name}" if whole else name
    if depth == 0 or (field.args and not whole):
        return None
    return f"{name} {_selection(named, depth=depth - 1, whole=whole)}"


def outcome(answer: Mapping[str, Any], name: str) -> str:
    """Tell what came of a root field in one word: `ok`, `null`, or the code of the first error."""
    errors = [one for one in answer.get("errors") or () if one.get("path") in (None, [name])]
    if errors:
        return str(errors[0]["extensions"]["code"])
    value = (answer.get("data") or {}).get(name)
    if value is None or value == [None]:
        return "null"
    told = value.get("userErrors") if isinstance(value, dict) else None
    return str(told[0]["code"]) if told else "ok"


def places_of_ids() -> Iterator[str]:
    """Yield every place of the schema that takes an id, as `Query.files filter.uploadedBy`."""
    for type_ in SCHEMA.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            for key, argument in field.args.items():
                for path in _ids_in(argument.type, (key,)):
                    yield f"{type_.name}.{name} {'.'.join(path)}"


def _ids_in(type_: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    named = get_named_type(type_)
    if named.name == "ID":
        yield path
    if isinstance(named, GraphQLInputObjectType):
        for key, field in named.fields.items():
            yield from _ids_in(field.type, (*path, key))
