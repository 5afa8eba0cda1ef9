"""
Sends a webhook's request, and not to where a stranger could make us reach: our own network.

A name is resolved once, every address it leads to is looked at, and the connection is made to one of these very
addresses, so that a second answer of the name server changes nothing. Redirects are not followed.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from domain.webhook import DeliveryFailed

TIMEOUT_SECONDS = 15.0
TOTAL_SECONDS = 30.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


class WebhookCourier:
    """
    Args:
        allowed: Networks that may be reached though they are not public.
        context: Whom to trust; the machine's authorities unless a test has its own.
    """

    def __init__(self, *, allowed: Sequence[Network] = (), context: ssl.SSLContext | None = None) -> None:
        self._allowed = tuple(allowed)
        self._context = context

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        host, is_tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        address = await self._find(host, port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = {"Host": parts.netloc, "Connection": "close", **headers}
        try:
            status = await asyncio.to_thread(self._send, host, address, port, is_tls, target, named, body)
        except ssl.SSLError as error:
            raise DeliveryFailed(f"TLS: {error.reason or 'the certificate is not trusted'}") from error
        except TimeoutError as error:
            raise DeliveryFailed(f"no answer within {TIMEOUT_SECONDS:.0f} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryFailed("the connection failed") from error
        if not 200 <= status < 300:
            raise DeliveryFailed(f"the answer was {status}")

    async def _find(self, host: str, port: int) -> str:
        """Resolve a name, and refuse one that leads anywhere it must not, even beside where it may."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed("the name is not known") from error
        addresses = [str(place[0]).partition("%")[0] for *_, place in found]
        if not addresses or not all(self.may_reach(ipaddress.ip_address(one)) for one in addresses):
            # The address itself is not told: it would make a map of our network.
            raise DeliveryFailed("the address is not public")
        return addresses[0]

    def may_reach(self, address: Address) -> bool:
        real = _embedded(address)
        if any(real.version == network.version and real in network for network in self._allowed):
            return True
        return real.is_global and not real.is_multicast

    def _send(
        self, host: str, address: str, port: int, is_tls: bool, target: str, headers: dict[str, str], body: bytes
    ) -> int:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        raw = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
        # Each step has its time; this bounds them all, for an answer that comes byte by byte.
        ending = threading.Timer(TOTAL_SECONDS, _cut, [raw])
        ending.start()
        try:
            if is_tls:
                context = self._context or ssl.create_default_context()
                connection.sock = context.wrap_socket(raw, server_hostname=host)
            else:
                connection.sock = raw
            connection.request("POST", target, body=body, headers=headers)
            answer = connection.getresponse()
            answer.close()  # what it says besides is of no use
            return answer.status
        finally:
            ending.cancel()
            connection.close()
            raw.close()


def _cut(raw: socket.socket) -> None:
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _embedded(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo is not None else None) or address
