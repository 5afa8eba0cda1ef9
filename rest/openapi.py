"""
The OpenAPI 3.1 document, made of the operations: `/openapi.json`.

`docs/reference/openapi.json` is what this gives, kept for readers and compared by a test.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.problem import CONTENT_TYPE
from rest.operations import JSON_SCHEMA_DIALECT, Access, Answer, Content, Operation
from rest.problems import example_of, status_of

VERSION = "1.0.0"  # of the interface: raised when something that clients rely on is taken away
_REF = "#/components/schemas/{model}"
_HEAD: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Lighterage",
        "version": VERSION,
        "description": (
            "Files over plain HTTP: upload, list, download, query with SQL, share. Resumable uploads (tus 1.0 and the"
            " IETF draft) are at `/files/`, GraphQL at `/graphql`. Every fault is a problem document (RFC 9457) with a"
            " stable `code` and a `hint` that says what to do."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "jsonSchemaDialect": JSON_SCHEMA_DIALECT,
    "servers": [{"url": "/"}],
}
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a log-in, or an API key.",
    },
}
_PATH_PARAMETERS: Mapping[str, tuple[Mapping[str, Any], str, Any]] = {
    "id": ({"type": "string", "maxLength": 64}, "The file's id: its UUID.", "019aab1c-54e0-7c5b-b5f1-9e0c8a2f6d11"),
    "number": ({"type": "integer", "minimum": 0}, "The file's number within the tenant.", 2),
    "resource": ({"type": "string", "maxLength": 128}, "Kind of thing in your own system, as `product`.", "product"),
    "resource_id": ({"type": "string", "maxLength": 128}, "Which of them.", "1"),
    "link": ({"type": "string", "maxLength": 64}, "The link's id.", "link_01kakc0f8sfxv8q7c3s3b2v4mn"),
    "name": ({"type": "string", "maxLength": 64}, "Name of the picture, as `avatar_url` has it.", "5f0c.webp"),
}
_PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457). Programs look at `code`.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable; docs/reference/errors.md lists them all."},
        "hint": {"type": "string", "description": "What to do next."},
        "request_id": {"type": ["string", "null"], "description": "Names the request in the server's log."},
        "path": {"type": "array", "items": {"type": "string"}, "description": "The field that is at fault."},
        "reason": {"type": "string"},
        "retry_after_seconds": {"type": "integer"},
    },
}
_ALWAYS = ("bad_request", "target_too_long", "head_too_long", "store_unavailable", "internal")
_OF_LOG_INS = ("unauthenticated", "token_invalid", "token_expired")
_OF_BODIES = ("request_idle",)


def openapi_operation(operations: Sequence[Operation]) -> Operation:
    """Make the operation that gives the document of all these, and itself."""

    @cache
    def content() -> bytes:
        return orjson.dumps(openapi_document([*operations, this]))

    async def serve(_request: Request) -> Response:
        return Response(content(), media_type="application/json", headers={"cache-control": "no-cache"})

    this = Operation(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "This document",
        "Service",
        serve,
        (Answer(200, "OpenAPI 3.1.", (Content("application/json", {"type": "object"}),)),),
        access=Access.ANYBODY,
    )
    return this


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Describe the operations."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM_SCHEMA}
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, path, schemas)
    codes = {code for one in operations for code in _faults(one)}
    return {
        **_HEAD,
        "tags": [{"name": name} for name in dict.fromkeys(one.group for one in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "examples": {code: {"value": example_of(code)} for code in sorted(codes)},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(one: Operation, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", path)]
    parameters += _query_parameters(one.query, schemas) if one.query is not None else []
    parameters += [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in one.header_fields.items()
    ]
    document: dict[str, Any] = {"operationId": one.id, "tags": [one.group], "summary": one.summary}
    if one.notes:
        document["description"] = one.notes
    if parameters:
        document["parameters"] = parameters
    if one.body:
        document["requestBody"] = {
            "required": True,
            "content": {content.media_type: _content(content, schemas) for content in one.body},
        }
    document["responses"] = _responses(one, schemas)
    if one.access is Access.LOG_IN:
        document["security"] = [{"bearer": []}]
    elif one.access is Access.OPTIONAL:
        document["security"] = [{}, {"bearer": []}]
    return document


def _path_parameter(name: str) -> dict[str, Any]:
    schema, text, example = _PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema, "example": example}


def _query_parameters(model: type[BaseModel], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    required = set(schema.get("required", ()))
    parameters = []
    for name, given in schema["properties"].items():
        described = {key: value for key, value in given.items() if key not in ("title", "description", "examples")}
        parameter = {"name": name, "in": "query", "schema": _without_null(described)}
        if name in required:
            parameter["required"] = True
        if "description" in given:
            parameter["description"] = given["description"]
        if given.get("examples"):
            parameter["example"] = given["examples"][0]
        parameters.append(parameter)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter of a query string is there or not; it is never null."""
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default") or value is not None}
    if len(choices) != 1:
        return kept
    del kept["anyOf"]
    return {**kept, **choices[0]}


def _responses(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    responses = {str(answer.status): _response(answer, schemas) for answer in one.answers}
    by_status: dict[int, list[str]] = {}
    for code in _faults(one):
        by_status.setdefault(status_of(code), []).append(code)
    for status, codes in sorted(by_status.items()):
        examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
        schema = {"$ref": _REF.format(model="Problem")}
        content = {"schema": schema, "examples": examples}
        known = responses.setdefault(
            str(status), {"description": " or ".join(f"`{code}`" for code in codes), "content": {}}
        )
        known.setdefault("content", {})[CONTENT_TYPE] = content
    return dict(sorted(responses.items()))


def _faults(one: Operation) -> tuple[str, ...]:
    codes = [*_OF_LOG_INS] if one.access is not Access.ANYBODY else ["token_invalid", "token_expired"]
    codes += ["permission_denied"] if one.access is Access.LOG_IN else []
    codes += ["not_found"] if "{" in one.path else []
    codes += ["invalid_value"] if one.query is not None or one.body else []
    codes += ["length_exceeded", *_OF_BODIES] if one.body else []
    return tuple(dict.fromkeys([*codes, *one.faults, *_ALWAYS]))


def _response(answer: Answer, schemas: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    if answer.contents:
        response["content"] = {content.media_type: _content(content, schemas) for content in answer.contents}
    return response


def _content(content: Content, schemas: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"schema": _schema(content.shape, schemas)}
    if content.examples:
        document["examples"] = {name: {"value": value} for name, value in content.examples.items()}
    return document


def _schema(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(shape, Mapping):
        return dict(shape)
    schema = TypeAdapter(shape).json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    name = schema.get("title")
    if name is None:  # a list of something, or a choice
        return schema
    schemas[name] = schema
    return {"$ref": _REF.format(model=name)}
