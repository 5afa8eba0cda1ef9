"""The OpenAPI document as the product serves it, without opening a product."""

import asyncio
from typing import Any
from unittest.mock import Mock

import orjson

from lighterage.facade import rest_operations
from lighterage.settings import Settings
from rest.health import Metrics, health_operations
from rest.openapi import openapi_document
from rest.operations import Operation


def operations() -> list[Operation]:
    """Give every operation, over services that are none."""
    health = health_operations({}, Mock(), Metrics(Mock(), "text/plain"))
    return rest_operations(Mock(), Settings(), health=health, upload_url="", stopping=asyncio.Event())


def document() -> dict[str, Any]:
    return openapi_document(operations())


def text() -> str:
    """Give the document as docs/reference/openapi.json has it."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2).decode() + "\n"
