"""
What proxies in front of this server say about a request: who sent it, and under which address.

Believed only of peers that the settings name, and only in one family of fields: a proxy sets those of its own and hands
the other family on as a stranger sent it.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from enum import Enum

from lighterage.authentication import App, Receive, Scope, Send

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

KNOWN_PEERS_MAX = 1024
HOPS_MAX = 32

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)
# RFC 3986's path-absolute without dots and doubled slashes: "//host" would be another server's address.
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+", re.ASCII)
# RFC 7239, 4: forwarded-pair = token "=" value, value = token / quoted-string
_PAIR = re.compile(r'[ \t]*([A-Za-z0-9_-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,=]*))[ \t]*(;|,|$)', re.ASCII)
_PORTS = {"http": ":80", "https": ":443"}


class Family(Enum):
    """Which fields a proxy sets."""

    X_FORWARDED = "x-forwarded"
    FORWARDED = "forwarded"


class TrustedProxies:
    """
    A layer that leaves in the scope what the proxies say.

    `client` becomes the address that the first proxy was asked by, `scheme` and `Host` what the client used; with one
    of these two or a prefix, `lighterage.public_url` is the address of this server's root as the client sees it.
    """

    def __init__(self, app: App, *, trusted: str, family: Family, tell_address: bool = True) -> None:
        """
        Args:
            trusted: Addresses and networks, separated by commas.
            tell_address: Leave the public address; not where it is fixed by a setting.
        """
        self._app = app
        self._networks = parse_networks(trusted)
        self._read = _read_forwarded if family is Family.FORWARDED else _read_x_forwarded
        self._known: dict[str, bool] = {}
        self._tell_address = tell_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None and self._trusts(client[0]):
            self._believe(scope, client[0])
        await self._app(scope, receive, send)

    def _trusts(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            known = is_in(address, self._networks)
            if len(self._known) < KNOWN_PEERS_MAX:
                self._known[address] = known
        return known

    def _believe(self, scope: Scope, peer: str) -> None:
        lines: list[tuple[bytes, bytes]] = scope["headers"]
        hops = self._read(lines)
        # The last hop was added by our peer. Who stands before it is only as good as that one.
        chosen = None
        for hop in reversed(hops[-HOPS_MAX:]):
            chosen = hop
            if hop.address is None or not self._trusts(hop.address):
                break
        if chosen is None:
            return
        if chosen.address is not None and is_address(chosen.address):
            scope["client"] = (chosen.address, 0)
        if chosen.scheme:
            scope["scheme"] = chosen.scheme if scope["type"] == "http" else {"https": "wss"}.get(chosen.scheme, "ws")
        place, host = next(((at, value) for at, (name, value) in enumerate(lines) if name == b"host"), (None, b""))
        if chosen.host:
            host = chosen.host.encode()
            if place is not None:
                lines[place] = (b"host", host)  # in place: the server adds trailers to this very list
        if self._tell_address and host and (chosen.scheme or chosen.host or chosen.prefix):
            scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
            authority = host.decode("latin-1").removesuffix(_PORTS[scheme])
            scope["lighterage.public_url"] = f"{scheme}://{authority}{chosen.prefix or ''}"


class _Hop:
    """What one proxy says of the request that it was sent; None for what it does not say, or says in no good form."""

    __slots__ = ("address", "host", "prefix", "scheme")

    def __init__(self, address: str | None, scheme: str | None, host: str | None, prefix: str | None) -> None:
        self.address = None if address is None else _bare_address(address)
        self.scheme = scheme.lower() if scheme is not None and scheme.lower() in _PORTS else None
        self.host = host if host is not None and _HOST.fullmatch(host) else None
        prefix = None if prefix is None else prefix.rstrip("/")
        self.prefix = prefix if prefix is not None and _PREFIX.fullmatch(prefix) else None


def _read_x_forwarded(lines: Sequence[tuple[bytes, bytes]]) -> list[_Hop]:
    """
    Read `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`.

    Each is a list to which every proxy appends, or one value that the first or the last proxy set: the hops are counted
    by addresses, and a shorter list's first value stands for the hops that it leaves out.
    """
    columns = [_list_of(lines, name) for name in (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")]
    prefixes = _list_of(lines, b"x-forwarded-prefix")
    columns.append(prefixes)
    count = max(map(len, columns))
    padded = [[column[0]] * (count - len(column)) + column if column else [None] * count for column in columns]
    if not columns[0]:
        # Who asked is not said: what the nearest proxy says of the rest is all there is.
        return [_Hop(*(column[-1] for column in padded))] if count else []
    return [_Hop(*row) for row in zip(*padded, strict=True)]


def _list_of(lines: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str | None]:
    values = [value.decode("latin-1") for name, value in lines if name == wanted]
    return [item.strip(" \t") for item in ",".join(values).split(",")] if values else []


def _read_forwarded(lines: Sequence[tuple[bytes, bytes]]) -> list[_Hop]:
    """Read `Forwarded` (RFC 7239). Where it is broken, what stands right of the fault is still its proxy's word."""
    hops: list[_Hop] = []
    for name, value in lines:
        if name == b"forwarded":
            hops += _parse_forwarded(value.decode("latin-1"))
    return hops


def _parse_forwarded(text: str) -> Iterable[_Hop]:
    hops: list[_Hop] = []
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            hops, pairs = [], {}
            comma = text.find(",", position)
            if comma < 0:
                break
            position = comma + 1
            continue
        quoted, plain = match[2], match[3]
        pairs[match[1].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        position = match.end()
        if match[4] != ";":
            hops.append(_Hop(pairs.get("for"), pairs.get("proto"), pairs.get("host"), None))
            pairs = {}
    return hops


def _bare_address(text: str) -> str:
    """Take the port and brackets from an address: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_in(address: str, networks: Iterable[_Network]) -> bool:
    """Tell whether an address is in one of the networks; what is no address is in none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)  # how a socket for both families names IPv4 peers
    return any((mapped or found) in network for network in networks if network.version == (mapped or found).version)


def parse_networks(listed: str) -> tuple[_Network, ...]:
    """
    Read the setting.

    Raises:
        ValueError: An item is neither an address nor a network.
    """
    return tuple(ipaddress.ip_network(item.strip()) for item in listed.split(",") if item.strip())
