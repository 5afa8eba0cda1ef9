"""
The bounds of a request's head, which uvicorn does not have: how long, how many fields, how slow, for which host.

A protocol class over uvicorn's own. What it refuses never becomes a request: the answer is a problem document, and the
connection closes once the client had time to read it. Bodies are `upload.body`'s affair.
"""

import asyncio
import re
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from domain.problem import CONTENT_TYPE

TARGET_BYTES_MAX = 8192  # RFC 9112, 3: "RECOMMENDED that all HTTP senders and recipients support [...] 8000 octets"
FIELDS_MAX = 128
PIPELINED_MAX = 64  # requests that wait for the answer to an earlier one
LINGER_SECONDS = 1.0  # a connection closed on a client that still sends is reset, and the answer with it
LINGER_BYTES_MAX = 256 * 1024

# RFC 9110, 7.2 and RFC 3986, 3.2.2: a name, an IPv4 or bracketed IPv6 address, perhaps a port.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")


@dataclass(frozen=True, slots=True)
class HeadBounds:
    """
    Attributes:
        bytes_max: Of the fields of one head.
        seconds: From the first byte of a head to its last; also what a new connection has until its first byte.
        hosts: Names, lower case and without a port, that requests may be meant for; empty: any.
    """

    bytes_max: int = 64 * 1024
    seconds: float = 20.0
    hosts: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class HeadFault:
    """A reason to refuse a request by its head, as it is told."""

    status: int
    code: str
    detail: str
    hint: str


MALFORMED = HeadFault(400, "request_malformed", "this is no HTTP/1.1 request", "Send one that follows RFC 9112.")
HOST_INVALID = HeadFault(
    400, "host_invalid", "the request has not exactly one good Host field", "Send Host once, as RFC 9112, 3.2 wants."
)
HEAD_TIMEOUT = HeadFault(408, "head_timeout", "the request's head did not come in time", "Send the head in one go.")
TARGET_TOO_LONG = HeadFault(
    414, "target_too_long", f"the request's target is longer than {TARGET_BYTES_MAX} bytes", "Shorten the address."
)
HOST_UNKNOWN = HeadFault(
    421, "host_unknown", "this server does not answer for the host of this request", "Check the address."
)
HEAD_TOO_LARGE = HeadFault(
    431,
    "head_too_large",
    "the request's header fields are too many or too long",
    "Send fewer or shorter fields; the limits are in docs/reference/protocols.md.",
)
CODING_UNKNOWN = HeadFault(
    501, "transfer_coding_unknown", "the only transfer coding that is known is chunked", "Send the bytes as they are."
)
HEAD_FAULTS = (MALFORMED, HOST_INVALID, HEAD_TIMEOUT, TARGET_TOO_LONG, HOST_UNKNOWN, HEAD_TOO_LARGE, CODING_UNKNOWN)


class HeadProtocol(HttpToolsProtocol):
    """
    One connection. Only a head that comes in pieces costs more than a few comparisons.

    Attributes:
        bounds: Of every connection of the class; `bounded_by` makes a class with others.
    """

    bounds = HeadBounds()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = False
        self._head_bytes = 0  # of the present head, in the pieces before this one
        self._piece_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._previous: RequestResponseCycle | None = None
        self._host: bytes | None = None  # the last that was found good
        self._fault: HeadFault | None = None
        self._is_deaf = False
        self._thrown_away_bytes = 0

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            self._throw_away(data)
            return
        self._piece_bytes = len(data)
        super().data_received(data)
        if self._is_in_head:
            self._watch()

    # ---- the parser's callbacks

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._disarm()
        if len(self.url) > TARGET_BYTES_MAX:
            self._refuse(TARGET_TOO_LONG)
        if len(self.headers) > FIELDS_MAX:
            self._refuse(HEAD_TOO_LARGE)
        # A head is no longer than what came since it began, and that is mostly little.
        if (
            self._head_bytes + self._piece_bytes > self.bounds.bytes_max
            and self._fields_bytes() > self.bounds.bytes_max
        ):
            self._refuse(HEAD_TOO_LARGE)
        self._check_fields()
        if len(self.pipeline) >= PIPELINED_MAX:
            self._refuse(MALFORMED)
        self._previous = self.cycle
        super().on_headers_complete()

    # ---- bounds

    def _watch(self) -> None:
        """Hold a head that is not whole yet to its bounds."""
        # The piece in which it began may have held much else.
        self._head_bytes = self._head_bytes + self._piece_bytes if self._head_bytes else 1 + self._fields_bytes()
        if self._head_timer is None:
            self._arm()
        if len(self.url) > TARGET_BYTES_MAX:
            self._answer(TARGET_TOO_LONG)
        elif self._head_bytes > self.bounds.bytes_max + TARGET_BYTES_MAX or len(self.headers) > FIELDS_MAX:
            self._answer(HEAD_TOO_LARGE)

    def _fields_bytes(self) -> int:
        return sum([len(name) + len(value) for name, value in self.headers])

    def _check_fields(self) -> None:
        """Judge what the parser lets pass: for whom a request is, and how its body is sent."""
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if value != self._host:
                    self._check_host(value)
            # RFC 9112, 6.1: "A server that receives a request message with a transfer coding it does not understand
            # SHOULD respond with 501 (Not Implemented)."
            elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._refuse(CODING_UNKNOWN)
        # RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
        # that lacks a Host header field and to any request message that contains more than one Host header field line
        # or a Host header field with an invalid field value."
        if hosts != 1 and (hosts or self.bounds.hosts or self.parser.get_http_version() != "1.0"):
            self._refuse(HOST_INVALID)

    def _check_host(self, value: bytes) -> None:
        host = _HOST.fullmatch(value)
        if host is None:
            self._refuse(HOST_INVALID)
        elif self.bounds.hosts and host[1].lower() not in self.bounds.hosts:
            self._refuse(HOST_UNKNOWN)
        self._host = value

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.seconds, self._on_time)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_time(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self._answer(HEAD_TIMEOUT)
        else:
            self.transport.close()  # nothing was ever asked, so there is nothing to answer

    # ---- refusals

    def _refuse(self, fault: HeadFault) -> NoReturn:
        """Stop the parser; it comes back through `send_400_response`."""
        self._fault = fault
        raise httptools.HttpParserError(fault.detail)

    def send_400_response(self, msg: str) -> None:
        self._answer(self._fault or MALFORMED, reason=str(sys.exc_info()[1] or msg))

    def _answer(self, fault: HeadFault, *, reason: str | None = None) -> None:
        """Refuse what comes, and close; what came whole before it still gets its answer, undisturbed."""
        self._disarm()
        self._is_in_head = False
        self._is_deaf = True
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # the fault is in its body, and nothing of it was carried out yet
            assert self._previous is not None
            self._previous.keep_alive = False
            return
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        if is_open and not cycle.more_body:
            cycle.keep_alive = False
            return
        if is_open:
            # The fault is in the body of the request that runs: cut here, and what came of it is kept.
            cycle.disconnected = True
            cycle.message_event.set()
        if not (is_open and cycle.response_started):
            self.transport.write(_refusal(fault, reason if fault is MALFORMED else None))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away_bytes += len(data)
        if self._thrown_away_bytes > LINGER_BYTES_MAX:
            self.flow.pause_reading()


def bounded_by(bounds: HeadBounds) -> type[HeadProtocol]:
    """Make the protocol class that a server is configured with."""
    return type("BoundedHeadProtocol", (HeadProtocol,), {"bounds": bounds})


def parse_hosts(listed: str) -> frozenset[bytes]:
    """Read the setting: names separated by commas; `*` for any."""
    hosts = {name.strip().lower().encode("idna") for name in listed.split(",") if name.strip()}
    return frozenset() if b"*" in hosts else frozenset(hosts)


def _refusal(fault: HeadFault, reason: str | None) -> bytes:
    document = {
        "type": f"/problems/{fault.code}",
        "title": fault.code.replace("_", " ").capitalize(),
        "status": fault.status,
        "detail": fault.detail + (f": {reason}" if reason else ""),
        "code": fault.code,
        "hint": fault.hint,
    }
    body = orjson.dumps(document)
    fields = (
        f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n"
        f"content-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "cache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\n"
        "tus-resumable: 1.0.0\r\n"  # tus 1.0: "MUST be included in every request and response"
        "connection: close\r\n\r\n"
    )
    return fields.encode() + body
