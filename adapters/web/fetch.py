"""Small documents of other servers, by GET."""

import asyncio
import http.client
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from domain.errors import StoreUnavailable

BYTES_MAX = 1_000_000
TIMEOUT_SECONDS = 10.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Go nowhere else than where whoever set the address wanted."""


async def fetch(address: str) -> bytes:
    """
    Give what is at an address: over TLS, but on this machine; no redirects.

    Raises:
        StoreUnavailable: It is not there, not in time, or too long.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise StoreUnavailable("identity provider")
    try:
        return await asyncio.to_thread(_fetch, address)
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError) as error:
        raise StoreUnavailable("identity provider") from error


def _fetch(address: str) -> bytes:
    # Without the handler for files and FTP that the library puts in by itself.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _NoRedirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310 (the scheme is checked)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read(BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        error.close()  # a refusal holds its connection, for as long as somebody holds it
        raise
    if len(content) > BYTES_MAX:
        raise ValueError("too long")
    return content
