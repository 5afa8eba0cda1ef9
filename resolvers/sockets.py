"""
One WebSocket of the graphql-transport-ws protocol: messages in, messages out. It knows the protocol and no framework.

Source: graphql-ws, PROTOCOL.md. Rules are quoted where they are held.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from domain.errors import LighterageError, Unauthenticated
from domain.principal import Principal
from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation
from resolvers.masking import Refused, refused, refused_by_fault
from resolvers.wire import decode, encode, parse_operation
from schema.errors import ErrorCode

SUBPROTOCOL = "graphql-transport-ws"

SERVICE_RESTART = 1012  # RFC 6455's registry: clients of the protocol connect again on their own
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INITIALISATION_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_REQUESTS = 4429
INTERNAL_ERROR = 4500

REASON_BYTES_MAX = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code
ID_LENGTH_MAX = 256

_log = logging.getLogger("lighterage.graphql")


class Closed(Exception):
    """The socket is gone; nothing more can be sent or received."""


class _Close(Exception):
    """The protocol says that this socket ends here."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket(Protocol):
    """An accepted WebSocket."""

    async def receive(self) -> str | bytes:
        """Give the next message; raises Closed."""
        ...

    async def send(self, message: bytes) -> None:
        """Send a text message, given as UTF-8; raises Closed."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close it; a socket that is closed already is no fault."""
        ...


@dataclass(frozen=True, slots=True)
class SocketRules:
    """
    What holds for every socket.

    Attributes:
        operations_max: Running at once on one socket.
        sockets_max: Open at once by one user, or by one address while nobody is logged in.
        recheck_seconds: How often a token that came with connection_init is checked again.
    """

    init_timeout_seconds: float = 10.0
    operations_max: int = 50
    sockets_max: int = 50
    recheck_seconds: float = 30.0


class TooMany(Exception):
    """The caller has as many open as anyone may."""


class SocketCount:
    """How many sockets, or event streams, each caller has open."""

    def __init__(self, *, each_max: int) -> None:
        self._each_max = each_max
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Count one for the length of the block; raises TooMany where there is no room for it."""
        if self._open[caller] >= self._each_max:
            raise TooMany
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]


class SocketSession:
    """
    Speaks the protocol on one socket until it ends.

    Args:
        authenticate: Turns the access token of connection_init into a principal; raises a LighterageError.
        context_for: Makes the context of one operation.
        principal: Who asks where connection_init brings no token.
    """

    __slots__ = (
        "_authenticate",
        "_client",
        "_context_for",
        "_count",
        "_engine",
        "_operations",
        "_principal",
        "_rechecking",
        "_rules",
        "_socket",
        "_timer",
    )

    def __init__(
        self,
        socket: Socket,
        engine: Engine,
        *,
        authenticate: Callable[[str], Awaitable[Principal]],
        context_for: Callable[[Principal], RequestContext],
        count: SocketCount,
        rules: SocketRules,
        principal: Principal,
        client: str,
    ) -> None:
        self._socket = socket
        self._engine = engine
        self._authenticate = authenticate
        self._context_for = context_for
        self._count = count
        self._rules = rules
        self._principal = principal
        self._client = client
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rechecking: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Serve the socket to its end; cancels what is running then, and waits for it."""
        try:
            with self._count.hold(f"address {self._client}"):
                token = await self._initialise()
            with self._count.hold(caller_of(self._principal, self._client)):
                await self._serve(token)
        except TooMany:
            await self._close(TOO_MANY_REQUESTS, "Too many connections")
        except _Close as end:
            await self._close(end.code, end.reason)
        except Closed:
            pass
        except LighterageError:
            await self._close(INTERNAL_ERROR, "Try again in a moment")
        except Exception:
            # The boundary of this face for sockets.
            _log.exception("a socket failed")
            await self._close(INTERNAL_ERROR, "Internal server error")
        finally:
            await self._stop()

    # ---- before anything may be asked

    async def _initialise(self) -> str | None:
        try:
            async with asyncio.timeout(self._rules.init_timeout_seconds):
                while True:
                    message = await self._receive()
                    if message["type"] == "connection_init":
                        break
                    await self._before_init(message)
        except TimeoutError as error:
            raise _Close(INITIALISATION_TIMEOUT, "Connection initialisation timeout") from error
        payload = message.get("payload")
        if payload is not None and not isinstance(payload, dict):
            raise _Close(BAD_REQUEST, "The payload of connection_init must be an object")
        token = _token_of(payload or {})
        if token is not None:
            await self._log_in(token)
        await self._send({"type": "connection_ack"})
        return token

    async def _before_init(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            await self._pong(message)
        elif message["type"] == "subscribe":
            # "if the client ... subscribe before the connection is acknowledged: 4401: Unauthorized"
            raise _Close(UNAUTHORIZED, "Unauthorized")

    async def _log_in(self, token: str) -> None:
        try:
            self._principal = await self._authenticate(token)
        except Unauthenticated as error:
            raise _Close(FORBIDDEN, "Forbidden") from error
        if self._principal.upload_id is not None:
            # A token for one upload is good for nothing else.
            raise _Close(FORBIDDEN, "Forbidden")

    # ---- messages

    async def _serve(self, token: str | None) -> None:
        if token is not None:
            self._recheck_later(token)
        try:
            while True:
                await self._handle(await self._receive())
        finally:
            for pending in (self._timer, self._rechecking):
                if pending is not None:
                    pending.cancel()

    def _recheck_later(self, token: str) -> None:
        # A timer until it is time: thousands of sockets would hold a sleeping task each.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._rules.recheck_seconds, self._begin_recheck, token)

    def _begin_recheck(self, token: str) -> None:
        self._rechecking = asyncio.ensure_future(self._recheck(token))

    async def _recheck(self, token: str) -> None:
        """
        Close when the token is no longer good: its time has passed, or its session or user was ended.

        Also when it stands for other rights than before: what is running goes on under the old ones.
        """
        before = self._principal
        try:
            await self._log_in(token)
        except _Close as end:
            await self._close(end.code, end.reason)
            return
        except LighterageError:
            # The records do not answer just now: that says nothing against the token.
            pass
        if self._principal != before:
            await self._close(SERVICE_RESTART, "Your rights have changed; connect again")
            return
        self._recheck_later(token)

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            self._complete(message)
        elif kind == "ping":
            await self._pong(message)
        elif kind == "connection_init":
            raise _Close(TOO_MANY_REQUESTS, "Too many initialisation requests")

    async def _subscribe(self, message: dict[str, Any]) -> None:
        identifier, payload = _id_of(message), message.get("payload")
        if not isinstance(payload, dict):
            raise _Close(BAD_REQUEST, "The payload of subscribe must be an object")
        try:
            operation = parse_operation(payload)
        except Refused as error:
            raise _Close(BAD_REQUEST, f"Invalid message: {error}") from error
        if identifier in self._operations:
            # "If there is already an active subscriber for an operation matching the provided ID, ... 4409"
            raise _Close(SUBSCRIBER_EXISTS, f"Subscriber for {identifier} already exists")
        if len(self._operations) >= self._rules.operations_max:
            message_text = f"at most {self._rules.operations_max} operations run at once on one socket"
            await self._send_errors(identifier, refused(ErrorCode.RATE_LIMITED, message_text))
            return
        self._operations[identifier] = asyncio.create_task(self._operate(identifier, operation))

    def _complete(self, message: dict[str, Any]) -> None:
        task = self._operations.pop(_id_of(message), None)
        if task is not None:
            task.cancel()

    # ---- one operation

    async def _operate(self, id: str, operation: Operation) -> None:
        context = self._context_for(self._principal)
        try:
            try:
                prepared = self._engine.prepare(operation, is_guest=self._principal.is_guest)
                async with aclosing(self._engine.answers(prepared, context)) as stream:
                    async for answer in stream:
                        await self._send({"id": id, "type": "next", "payload": answer})
            except Refused as error:
                self._forget(id)
                await self._send_errors(id, error)
            except Closed:
                pass
            except Exception as fault:
                # The boundary of this face for one operation: the others on the socket go on.
                self._forget(id)
                await self._send_errors(id, refused_by_fault(fault, request_id=context.request_id))
            else:
                self._forget(id)
                await self._send({"id": id, "type": "complete"})
        except Closed:
            pass
        finally:
            self._forget(id)

    def _forget(self, id: str) -> None:
        """Free the id before the last message is sent: the client may use it again as soon as it sees that."""
        if self._operations.get(id) is asyncio.current_task():
            del self._operations[id]

    async def _stop(self) -> None:
        tasks = list(self._operations.values())
        self._operations.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    # ---- frames

    async def _receive(self) -> dict[str, Any]:
        text = await self._socket.receive()
        if not isinstance(text, str):
            raise _Close(BAD_REQUEST, "Invalid message: it must be text")
        try:
            message = decode(text)
        except Refused as error:
            raise _Close(BAD_REQUEST, "Invalid message: it must be JSON") from error
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(kind, str) or kind not in _CLIENT_MESSAGES:
            raise _Close(BAD_REQUEST, "Invalid message: it must be an object with a known type")
        return message

    async def _pong(self, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        if payload is not None and not isinstance(payload, dict):
            raise _Close(BAD_REQUEST, "The payload of ping must be an object")
        try:
            pong = encode({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
        except RecursionError as error:
            raise _Close(BAD_REQUEST, "The payload of ping is nested too deeply") from error
        await self._socket.send(pong)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(encode(message))

    async def _send_errors(self, id: str, error: Refused) -> None:
        await self._send({"id": id, "type": "error", "payload": error.formatted()})

    async def _close(self, code: int, reason: str) -> None:
        short = reason.encode(errors="replace")[:REASON_BYTES_MAX].decode(errors="ignore")
        with suppress(Closed):
            await self._socket.close(code, short)


_CLIENT_MESSAGES = frozenset({"connection_init", "ping", "pong", "subscribe", "complete"})


def caller_of(principal: Principal, client: str) -> str:
    """Name whom an open connection is counted for."""
    return principal.user_id or f"guest {client}"


def _id_of(message: dict[str, Any]) -> str:
    identifier = message.get("id")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= ID_LENGTH_MAX:
        raise _Close(BAD_REQUEST, "Invalid message: 'id' must be a string that is not empty")
    return identifier


def _token_of(payload: dict[str, Any]) -> str | None:
    """Find the access token, under the name that the HTTP header has, in any case."""
    for name, value in payload.items():
        if name.lower() == "authorization":
            scheme, _, token = value.partition(" ") if isinstance(value, str) else ("", "", "")
            if scheme.lower() != "bearer" or not token.strip():
                raise _Close(FORBIDDEN, "Forbidden")
            return str(token.strip())
    return None
