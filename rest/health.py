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

from domain.errors import Unauthenticated
from rest.operations import Access, Answer, Content, Endpoint, Operation

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


def health_operations(
    checks: Mapping[str, Check], jwks: Callable[[], dict[str, Any]], metrics: Metrics | None = None
) -> list[Operation]:
    """
    Make the operations that machines ask for.

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

    operations = [
        _operation("/startupz", "getStart", "Whether the server has started", started, _OK, faults=("store_full",)),
        _operation("/healthz", "getHealth", "Whether the server lives", live, _OK),
        _operation("/readyz", "getReadiness", "Whether uploads are taken now", ready, _READY, faults=("store_full",)),
        _operation(
            "/.well-known/jwks.json", "getKeys", "The public keys that access tokens are checked with", keys, _KEYS
        ),
    ]
    return operations if metrics is None else [*operations, _metrics_operation(metrics)]


_OK = {"status": "ok"}
_READY = {"status": "ok", "checks": {"records": "ok", "blobs": "ok"}}
_KEYS = {
    "keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "key_1", "x": "11qYAYKxCrfVS…"}]
}


def _operation(
    path: str, id: str, summary: str, endpoint: Endpoint, example: object, *, faults: tuple[str, ...] = ()
) -> Operation:
    content = Content("application/json", {"type": "object"}, {"usual": example})
    answers = (Answer(200, "So it is.", (content,)),)
    return Operation("GET", path, id, summary, "Service", endpoint, answers, Access.ANYBODY, faults=faults)


def _metrics_operation(metrics: Metrics) -> Operation:
    async def numbers(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if metrics.token is not None and not secrets.compare_digest(given.encode(), f"Bearer {metrics.token}".encode()):
            raise Unauthenticated("the server's numbers are for its operator")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(await metrics.write(), headers={**headers, "content-type": metrics.content_type})

    return Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "The server's numbers, for Prometheus",
        "Service",
        numbers,
        (Answer(200, "Prometheus' text format.", (Content("text/plain", {"type": "string"}),)),),
        Access.ANYBODY,
        notes="With `LIGHTERAGE_METRICS_TOKEN` set, that token has to be sent.",
        faults=("unauthenticated",),
    )


def _json(content: object, *, cache: str = "no-store") -> Response:
    headers = {"cache-control": cache, "x-content-type-options": "nosniff"}
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)
