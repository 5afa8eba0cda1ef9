"""
Server-sent events, distinct connections: the answers of one operation as one event stream. Knows no framework.

Source: graphql-sse, PROTOCOL.md.
"""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from domain.errors import LighterageError, Unauthenticated
from domain.principal import Principal
from resolvers.context import RequestContext
from resolvers.execution import Engine, Prepared
from resolvers.masking import Refused, refused, refused_by, refused_by_fault
from resolvers.sharing import Answer
from resolvers.sockets import SocketCount, TooMany, caller_of
from resolvers.wire import encode
from schema.errors import ErrorCode

_NOTHING = b":\n\n"  # a comment: what a client ignores and a proxy counts as life
_COMPLETE = b"event: complete\ndata:\n\n"


@dataclass(frozen=True, slots=True)
class StreamRules:
    """
    What holds for every event stream.

    Attributes:
        streams_max: Open at once by one user, or by one address while nobody is logged in.
        recheck_seconds: How often its token is checked again.
    """

    keep_alive_seconds: float
    streams_max: int
    recheck_seconds: float


class EventStreams:
    """Makes event streams, and ends them when the server or their token comes to its end."""

    def __init__(
        self,
        engine: Engine,
        *,
        authenticate: Callable[[str], Awaitable[Principal]],
        stopping: asyncio.Event,
        rules: StreamRules,
    ) -> None:
        self._engine = engine
        self._authenticate = authenticate
        self._stopping = stopping
        self._rules = rules
        self._count = SocketCount(each_max=rules.streams_max)

    async def events(
        self, prepared: Prepared, context: RequestContext, *, token: str | None
    ) -> AsyncGenerator[bytes, None]:
        """
        Yield an event stream, whole events at a time; the caller closes. It ends with `complete`, or when the server
        does.

        Args:
            token: The access token it was opened with, to be checked again while it runs.
        """
        yield _NOTHING  # opens the stream, so that the client sees it is accepted
        try:
            with self._count.hold(caller_of(context.principal, context.client)):
                async with aclosing(self._frames(prepared, context, token)) as frames:
                    async for frame in frames:
                        yield frame
        except TooMany:
            async for event in refusal_events(refused(ErrorCode.RATE_LIMITED, "too many event streams are open")):
                yield event
        except Refused as error:
            async for event in refusal_events(error):
                yield event
        except Exception as fault:
            # The boundary of this face for event streams.
            async for event in refusal_events(refused_by_fault(fault, request_id=context.request_id)):
                yield event

    async def _frames(
        self, prepared: Prepared, context: RequestContext, token: str | None
    ) -> AsyncGenerator[bytes, None]:
        stream = self._engine.answers(prepared, context)
        end = asyncio.ensure_future(self._end(context.principal, token))
        step: asyncio.Future[Answer | None] = asyncio.ensure_future(anext(stream, None))
        try:
            while not end.done():
                waiting: set[asyncio.Future[Any]] = {step, end}
                await asyncio.wait(waiting, timeout=self._rules.keep_alive_seconds, return_when=FIRST_COMPLETED)
                if not step.done():
                    yield _NOTHING
                    continue
                answer = step.result()
                if answer is None:
                    yield _COMPLETE
                    return
                yield _event("next", answer)
                step = asyncio.ensure_future(anext(stream, None))
            end.result()
        finally:
            for task in (step, end):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
            await stream.aclose()

    async def _end(self, principal: Principal, token: str | None) -> None:
        """
        Wait until a stream has to end: the server stops, or its token stands for other rights than before.

        Raises:
            Refused: The token is no longer good at all.
        """
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.recheck_seconds):
                    await self._stopping.wait()
            if token is None or self._stopping.is_set():
                continue
            try:
                if await self._authenticate(token) != principal:
                    return
            except Unauthenticated as error:
                raise refused_by(error) from error
            except LighterageError:
                continue  # the records do not answer just now: that says nothing against the token


async def refusal_events(error: Refused) -> AsyncGenerator[bytes, None]:
    """Yield a stream that says why there is none: an EventSource cannot read the body of an error."""
    yield _event("next", {"errors": error.formatted()})
    yield _COMPLETE


def _event(kind: str, content: object) -> bytes:
    # Our JSON has no line break in it, so one `data:` line holds it.
    return b"event: " + kind.encode() + b"\ndata: " + encode(content) + b"\n\n"
