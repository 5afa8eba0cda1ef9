"""Logs: one line an event, JSON for machines, plain for a terminal; each knows of which request and tenant it is."""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

REQUEST: ContextVar[MutableMapping[str, Any] | None] = ContextVar("request", default=None)
"""The ASGI scope of the request that is being answered. What is in it is looked at only where a line is written."""


def add_request(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add to a line the request's id, and the tenant and user who ask."""
    scope = REQUEST.get()
    if scope is None:
        return event
    event.setdefault("request_id", scope.get("lighterage.request_id"))
    principal = scope.get("lighterage.principal")
    if principal is not None and not principal.is_guest:
        event.setdefault("tenant_id", principal.tenant_id)
        event.setdefault("user_id", principal.user_id)
    return event


def configure_logging(level: str) -> None:
    """Send the logs of everything in this process to standard error."""
    shared: list[structlog.types.Processor] = [
        add_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    is_terminal = sys.stderr.isatty()
    last: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if is_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("botocore", "boto3", "urllib3", "pymongo", "uvicorn.error", "strawberry.execution"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
