"""Whether the server lives, and whether it takes uploads; and the key that its tokens are checked with."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Check = Callable[[], Awaitable[None]]


def health_routes(checks: Mapping[str, Check], jwks: Callable[[], dict[str, Any]]) -> list[Route]:
    """
    Make the routes that machines ask.

    Args:
        checks: What uploads need, by name. Each raises a LighterageError while it is not there.
    """

    async def live(_request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(_request: Request) -> Response:
        # A fault becomes a problem document with the status of its kind, as everywhere.
        for check in checks.values():
            await check()
        return _json({"status": "ok", "checks": dict.fromkeys(checks, "ok")})

    async def keys(_request: Request) -> Response:
        return _json(jwks(), cache="public, max-age=300")

    return [
        Route("/healthz", live, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/.well-known/jwks.json", keys, methods=["GET"]),
    ]


def _json(content: object, *, cache: str = "no-store") -> Response:
    headers = {"cache-control": cache, "x-content-type-options": "nosniff"}
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)
