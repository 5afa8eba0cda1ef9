"""The Postman collection has what the OpenAPI document has."""

import json
import re

from tests.support import openapi, postman


def test_collection_has_every_operation_R000_31():
    """The same methods and paths, each once, and each with two saved answers at least."""
    documented = {(method.upper(), path) for path, methods in openapi.document()["paths"].items() for method in methods}
    items = json.loads((postman.FOLDER / "collection.json").read_text())["item"]
    collected = [
        (item["request"]["method"], "/" + re.sub(r":(\w+)", r"{\1}", "/".join(item["request"]["url"]["path"])))
        for item in items
    ]

    assert documented == set(collected)
    assert len(collected) == len(documented)
    assert [item["name"] for item in items if len(item["response"]) < 2] == []
