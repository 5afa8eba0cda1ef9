"""The schema as a whole: its printed form, its descriptions, and what hangs on enums having the same members."""

from enum import Enum

import pytest
import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema

import domain.event
import domain.file
import domain.principal
import domain.tenant
import services.files
import services.reading
from domain.upload import UploadStatus as UploadStatusRecord
from resolvers.root import build_schema, print_sdl
from schema.enums import (
    FileEventAction,
    FileOrderField,
    FileStatus,
    FileVisibility,
    Scope,
    SqlFormat,
    TenantRole,
    UploadStatus,
)
from tests.support.graphql_sdl import SDL_FILE


@pytest.fixture(scope="module")
def built() -> strawberry.Schema:
    return build_schema()


@pytest.fixture(scope="module")
def types(built: strawberry.Schema) -> dict[str, object]:
    schema: GraphQLSchema = built._schema
    return {name: type_ for name, type_ in schema.type_map.items() if not name.startswith("__")}


def test_the_printed_schema_is_the_file(built: strawberry.Schema) -> None:
    """Clients generate code from the file; `python -m tests.support.graphql_sdl` writes it anew."""
    assert print_sdl(built) == SDL_FILE.read_text()


def test_everything_has_a_description(types: dict[str, object]) -> None:
    """GraphiQL is the first documentation that anyone reads."""
    bare = []
    for name, type_ in types.items():
        if name in {"String", "Int", "Boolean", "ID", "Float"}:
            continue
        bare += [name] if not type_.description else []  # type: ignore[attr-defined]
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            bare += [f"{name}.{field}" for field, one in type_.fields.items() if not one.description]
        if isinstance(type_, GraphQLObjectType):
            bare += [
                f"{name}.{field}({argument})"
                for field, one in type_.fields.items()
                for argument, definition in one.args.items()
                if not definition.description
            ]
        if isinstance(type_, GraphQLEnumType):
            bare += [f"{name}.{value}" for value, one in type_.values.items() if not one.description]

    assert bare == []


def test_every_mutation_takes_one_input_and_may_be_null(types: dict[str, object]) -> None:
    """Clients bind one variable; the failure of the second of two does not take away the first one's answer."""
    mutation = types["Mutation"]
    assert isinstance(mutation, GraphQLObjectType)

    for field in mutation.fields.values():
        assert list(field.args) == ["input"]
        assert str(field.args["input"].type).endswith("Input!")
        assert str(field.type).endswith("Payload")
        assert "userErrors" in field.type.fields  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ours", "records"),
    [
        (FileVisibility, domain.file.Visibility),
        (FileEventAction, domain.event.FileEventAction),
        (TenantRole, domain.tenant.TenantRole),
        (Scope, domain.principal.Scope),
    ],
)
def test_enums_have_the_values_of_the_domain(ours: type[Enum], records: type[Enum]) -> None:
    """One becomes the other by value; a new one in the domain must be named for clients first."""
    assert {one.value for one in ours} == {one.value for one in records}


def test_file_status_tells_two_more_than_the_record() -> None:
    """Of the trash a file's other fields tell, and what is still uploading is no file."""
    assert {one.value for one in FileStatus} == {one.value for one in domain.file.FileStatus} | {"deleted", "uploading"}


def test_upload_status_shows_all_but_assembling() -> None:
    """To clients that is the last moment of being in progress."""
    assert {one.value for one in UploadStatus} == {one.value for one in UploadStatusRecord} - {"assembling"}


@pytest.mark.parametrize(
    ("ours", "records"), [(FileOrderField, services.files.FileOrderField), (SqlFormat, services.reading.Format)]
)
def test_enums_have_the_names_of_the_services(ours: type[Enum], records: type[Enum]) -> None:
    """One becomes the other by name."""
    assert {one.name for one in ours} == {one.name for one in records}
