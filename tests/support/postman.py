"""
The Postman collection, made of the operations: `python -m tests.support.postman` writes docs/postman/collection.json.

Each operation is a request with saved answers, in an order in which all of them can be run one after the other, which
newman does in CI against a real server.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support import openapi
from tests.support.sources import ROOT

FOLDER = ROOT / "docs" / "postman"
SAVED_FAULTS_MAX = 4  # answers of one request that tell a fault
_FIRST = ("signUp", "logIn", "refresh", "authenticate", "getTokenPair", "refreshTokenPair")
_MAKING = ("createFile", "uploadFile", "uploadMap", "shareFile", "requestFiles", "saveQueryResult")
_LAST = ("revokeShare", "deleteMap", "deleteNumberedFile", "deleteFile", "restoreFile", "logOut")

_PATH = {
    "id": "{{fileId}}",
    "number": "{{number}}",
    "resource": "product",
    "resource_id": "1",
    "link": "{{linkId}}",
    "name": "{{avatar}}",
}
_BODIES: Mapping[str, Any] = {
    "signUp": {"email": "{{$randomUserName}}@example.org", "password": "correct horse battery"},
    "logIn": {"email": "{{email}}", "password": "{{password}}"},
    "refresh": {"refresh_token": "{{refreshToken}}"},
    "authenticate": {"username": "{{email}}", "password": "{{password}}"},
    "getTokenPair": {"username": "{{email}}", "password": "{{password}}"},
    "refreshTokenPair": {"refresh": "{{pairRefresh}}"},
    "resendVerification": {"email": "nobody@example.org"},
    "forgotPassword": {"email": "nobody@example.org"},
    "shareFile": {"max_uses": 10},
    "requestFiles": {"max_uses": 10},
}
_FORMS: Mapping[str, Mapping[str, str]] = {
    "createFile": {"file": "@sales.csv"},
    "uploadFile": {"file": "@sales.csv", "resource": "product", "resource_id": "1"},
    "uploadMap": {"file": "@sales.csv"},
    "addUser": {"name": "Ada Lovelace", "email": "{{$randomUserName}}@example.org", "avatar": "@avatar.png"},
}
_QUERIES: Mapping[str, Mapping[str, str]] = {
    "verifyEmail": {"token": "nonsense"},
    "watchEvents": {"after": "nonsense"},  # a true stream would have no end
    "listFiles": {"page": "1", "page_size": "10"},
}
_SAVED: Mapping[str, Mapping[str, str]] = {
    "logIn": {"accessToken": "access_token", "refreshToken": "refresh_token"},
    "refresh": {"accessToken": "access_token", "refreshToken": "refresh_token"},
    "getTokenPair": {"pairRefresh": "refresh"},
    "createFile": {"fileId": "id"},
    "uploadFile": {"number": "id"},
    "uploadMap": {"mapId": "id"},
    "shareFile": {"linkId": "id"},
}
"""Variables that later requests need, by where they stand in an answer."""

# What comes of a request here where it is not the usual success.
_EXPECTED: Mapping[str, tuple[int, ...]] = {
    "signUp": (201, 202),
    "verifyEmail": (401,),
    "resetPassword": (401,),
    "watchEvents": (422,),
    "getMap": (409,),
    "getAvatar": (404,),
}


def collection() -> dict[str, Any]:
    """Make the collection."""
    document = openapi.document()
    operations = [
        (method.upper(), path, one) for path, methods in document["paths"].items() for method, one in methods.items()
    ]
    operations.sort(key=lambda found: _place(found[2]["operationId"]))
    return {
        "info": {
            "name": "Lighterage",
            "description": "Every operation, with saved answers. Choose an environment, then run all of it.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{accessToken}}", "type": "string"}]},
        "variable": [{"key": name, "value": ""} for name in _variables()],
        "item": [_item(document, *found) for found in operations],
    }


def _variables() -> list[str]:
    named = [name for saved in _SAVED.values() for name in saved]
    return [*dict.fromkeys([*named, "avatar"])]


def _place(name: str) -> tuple[int, int]:
    for phase, names in ((0, _FIRST), (1, _MAKING), (3, _LAST)):
        if name in names:
            return phase, names.index(name)
    return 2, 0


def _item(document: Mapping[str, Any], method: str, path: str, one: Mapping[str, Any]) -> dict[str, Any]:
    request = _request(method, path, one)
    return {
        "name": one["summary"],
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": _script(one)}}],
        "request": request,
        "response": [_saved(request, status, content) for status, content in _answers(document, one)],
    }


def _request(method: str, path: str, one: Mapping[str, Any]) -> dict[str, Any]:
    name = one["operationId"]
    request: dict[str, Any] = {"method": method, "description": one.get("description", ""), "url": _url(path, name)}
    if "security" not in one:
        request["auth"] = {"type": "noauth"}
    bodies = one.get("requestBody", {}).get("content", {})
    if name in _FORMS:
        request["body"] = {"mode": "formdata", "formdata": [_form_field(*pair) for pair in _FORMS[name].items()]}
    elif "application/json" in bodies:
        example = next(iter(bodies["application/json"]["examples"].values()))["value"]
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {"mode": "raw", "raw": json.dumps(_BODIES.get(name, example), indent=2)}
    return request


def _url(path: str, name: str) -> dict[str, Any]:
    parts = re.sub(r"\{(\w+)\}", r":\1", path)
    url: dict[str, Any] = {"host": ["{{baseUrl}}"], "path": parts.lstrip("/").split("/")}
    names = re.findall(r"\{(\w+)\}", path)
    if names:
        values = _PATH | ({"id": "{{mapId}}"} if "/maps/" in path else {})
        values |= {"id": "job_00000000000000000000000000"} if "/jobs/" in path else {}
        url["variable"] = [{"key": one, "value": values[one]} for one in names]
    query = _QUERIES.get(name, {})
    if query:
        url["query"] = [{"key": key, "value": value} for key, value in query.items()]
    tail = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
    return {"raw": "{{baseUrl}}" + parts + tail, **url}


def _form_field(key: str, value: str) -> dict[str, str]:
    if value.startswith("@"):
        return {"key": key, "type": "file", "src": value[1:]}
    return {"key": key, "type": "text", "value": value}


def _script(one: Mapping[str, Any]) -> list[str]:
    name = one["operationId"]
    documented = [int(status) for status in one["responses"]]
    expected = list(_EXPECTED.get(name, [min(status for status in documented if status < 300)]))
    if {"Queue", "Webhooks"} & set(one["tags"]):
        expected = [status for status in documented if status < 500]  # depends on what waits
    lines = [f"pm.test('answers as documented', () => pm.expect(pm.response.code).to.be.oneOf({json.dumps(expected)}))"]
    saved = _SAVED.get(name, {})
    if saved:
        lines.append("const answer = pm.response.json()")
    return lines + [f"pm.collectionVariables.set('{variable}', answer.{field})" for variable, field in saved.items()]


def _answers(document: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield statuses with a media type and an example: every success, and some faults, the most telling first."""
    faults = 0
    for status, response in one["responses"].items():
        if int(status) < 400:
            media_type, content = next(iter(response.get("content", {}).items()), ("", {}))
            example = next(iter(content.get("examples", {}).values()), {"value": ""})["value"]
            yield int(status), {"type": media_type, "name": response["description"], "value": example}
            continue
        names = [
            reference["$ref"] for reference in response["content"]["application/problem+json"]["examples"].values()
        ]
        for reference in names[:1]:
            if int(status) in (400, 414, 431, 500) and faults:
                continue
            if faults == SAVED_FAULTS_MAX:
                return
            faults += 1
            code = reference.rpartition("/")[2]
            value = document["components"]["examples"][code]["value"]
            yield int(status), {"type": "application/problem+json", "name": code, "value": value}


def _saved(request: Mapping[str, Any], status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    value = content["value"]
    return {
        "name": f"{status} {content['name']}",
        "originalRequest": request,
        "code": status,
        "header": [{"key": "Content-Type", "value": content["type"]}] if content["type"] else [],
        "body": value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False),
    }


def text() -> str:
    return json.dumps(collection(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "collection.json").write_text(text())


if __name__ == "__main__":
    main()
