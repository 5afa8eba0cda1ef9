"""
What machines ask: whether the server has started, lives, and takes uploads; its numbers; the key of its tokens.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import Unauthenticated

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Metrics:
    """
    What `/metrics` answers.

    Attributes:
        token: What must be sent as a bearer token; None: nothing.
    """

    write: Callable[[], Awaitable[bytes]]
    content_type: str
    token: str | None = None


def health_routes(
    checks: Mapping[str, Check], jwks: Callable[[], dict[str, Any]], metrics: Metrics | None = None
) -> list[Route]:
    """
    Make the routes that machines ask.

    Args:
        checks: What uploads need, by name. Each raises a LighterageError while it is not there.
    """
    has_started = False

    async def started(request: Request) -> Response:
        # Once everything was there it stays so: from then on a store that is away concerns readiness alone, and a
        # starting check that failed again would have the process killed with the uploads that it holds.
        nonlocal has_started
        if not has_started:
            await ready(request)
            has_started = True
        return _json({"status": "ok"})

    async def live(_request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(_request: Request) -> Response:
        # A fault becomes a problem document with the status of its kind, as everywhere.
        for check in checks.values():
            await check()
        return _json({"status": "ok", "checks": dict.fromkeys(checks, "ok")})

    async def keys(_request: Request) -> Response:
        return _json(jwks(), cache="public, max-age=300")

    routes = [
        Route("/startupz", started, methods=["GET"]),
        Route("/healthz", live, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/.well-known/jwks.json", keys, methods=["GET"]),
    ]
    return routes if metrics is None else [*routes, _metrics_route(metrics)]


def _metrics_route(metrics: Metrics) -> Route:
    async def numbers(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if metrics.token is not None and not secrets.compare_digest(given.encode(), f"Bearer {metrics.token}".encode()):
            raise Unauthenticated("the server's numbers are for its operator")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(await metrics.write(), headers={**headers, "content-type": metrics.content_type})

    return Route("/metrics", numbers, methods=["GET"])


def _json(content: object, *, cache: str = "no-store") -> Response:
    headers = {"cache-control": cache, "x-content-type-options": "nosniff"}
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)
