"""What is believed of proxies, and of whom."""

import pytest

from lighterage.proxies import Family, TrustedProxies, parse_networks

PROXY, OUTER, CLIENT = "10.0.0.1", "10.0.0.2", "192.0.2.7"
TRUSTED = "10.0.0.0/24, 2001:db8::1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def seen(
    headers: dict[str, str], *, peer: str = PROXY, family: Family = Family.X_FORWARDED, **options: object
) -> dict:
    """Send a request through the layer and give the scope that the application gets."""
    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 50000),
        "headers": [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in {"Host": "inner:8000", **headers}.items()
        ],
    }
    found: list[dict] = []

    async def app(scope, receive, send):
        found.append(scope)

    await TrustedProxies(app, trusted=TRUSTED, family=family, **options)(scope, None, None)  # type: ignore[arg-type]
    return found[0]


def facts(scope: dict) -> tuple[str, str, str | None]:
    return scope["client"][0], scope["scheme"], scope.get("lighterage.public_url")


X = {
    "nothing said": ({}, (PROXY, "http", None)),
    "client only": ({"X-Forwarded-For": CLIENT}, (CLIENT, "http", None)),
    "client with port": ({"X-Forwarded-For": f"{CLIENT}:4711"}, (CLIENT, "http", None)),
    "IPv6 with port": ({"X-Forwarded-For": "[2001:db8::7]:4711"}, ("2001:db8::7", "http", None)),
    "TLS ended at the proxy": ({"X-Forwarded-Proto": "https"}, (PROXY, "https", "https://inner:8000")),
    "all of it": (
        {
            "X-Forwarded-For": CLIENT,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "files.example",
            "X-Forwarded-Prefix": "/up/",
        },
        (CLIENT, "https", "https://files.example/up"),
    ),
    "default port": (
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example:443"},
        (PROXY, "https", "https://files.example"),
    ),
    "port of the other scheme": (
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example:80"},
        (PROXY, "https", "https://files.example:80"),
    ),
    "forged address before the true one": ({"X-Forwarded-For": f"203.0.113.9, {CLIENT}"}, (CLIENT, "http", None)),
    "two proxies of ours": ({"X-Forwarded-For": f"203.0.113.9, {CLIENT}, {OUTER}"}, (CLIENT, "http", None)),
    "two proxies, each with its word": (
        {
            "X-Forwarded-For": f"{CLIENT}, {OUTER}",
            "X-Forwarded-Proto": "https, http",
            "X-Forwarded-Host": "a.example, b",
        },
        (CLIENT, "https", "https://a.example"),
    ),
    "two proxies, one value": (
        {"X-Forwarded-For": f"{CLIENT}, {OUTER}", "X-Forwarded-Proto": "https"},
        (CLIENT, "https", "https://inner:8000"),
    ),
    "no address": ({"X-Forwarded-For": "unknown"}, (PROXY, "http", None)),
    "other scheme": ({"X-Forwarded-Proto": "javascript"}, (PROXY, "http", None)),
    "host with a path": ({"X-Forwarded-Host": "evil.example/x?"}, (PROXY, "http", None)),
    "host with a user": ({"X-Forwarded-Host": "files.example@evil.example"}, (PROXY, "http", None)),
    "empty": (
        {"X-Forwarded-For": "", "X-Forwarded-Proto": "", "X-Forwarded-Host": "", "X-Forwarded-Prefix": "/"},
        (PROXY, "http", None),
    ),
    "prefix that is another server": ({"X-Forwarded-Prefix": "//evil.example"}, (PROXY, "http", None)),
    "prefix that climbs": ({"X-Forwarded-Prefix": "/a/../b"}, (PROXY, "http", None)),
    "the other family": ({"Forwarded": f"for={CLIENT};host=evil.example"}, (PROXY, "http", None)),
}

FORWARDED = {
    "all of it": (
        f"for={CLIENT};proto=https;host=files.example;by={PROXY}",
        (CLIENT, "https", "https://files.example"),
    ),
    "quoted": ('For="[2001:db8::7]:4711";Proto="https"', ("2001:db8::7", "https", "https://inner:8000")),
    "quoted comma": (f'for="a,b", for={CLIENT}', (CLIENT, "http", None)),
    "forged before the true one": (
        f"for=203.0.113.9;host=evil.example, for={CLIENT};host=files.example",
        (CLIENT, "http", "http://files.example"),
    ),
    "two proxies of ours": (
        f"for={CLIENT};proto=https, for={OUTER};proto=http",
        (CLIENT, "https", "https://inner:8000"),
    ),
    "obfuscated": ("for=_hidden;proto=https", (PROXY, "https", "https://inner:8000")),
    "broken before the true one": (f'for="open, for={CLIENT}', (CLIENT, "http", None)),
    "broken": ("for=;;", (PROXY, "http", None)),
    "nothing": ("", (PROXY, "http", None)),
}


@pytest.mark.parametrize("name", X)
async def test_x_forwarded_fields_of_a_trusted_proxy(name):
    headers, expected = X[name]

    assert expected == facts(await seen(headers))


@pytest.mark.parametrize("name", FORWARDED)
async def test_forwarded_field_of_a_trusted_proxy(name):
    """RFC 7239: the last element is the nearest proxy's own."""
    value, expected = FORWARDED[name]
    headers = {"Forwarded": value, "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "203.0.113.9"}

    assert expected == facts(await seen(headers, family=Family.FORWARDED))


@pytest.mark.parametrize("peer", ["10.0.1.1", "192.0.2.1", "2001:db8::2", "testclient"])
async def test_strangers_are_not_believed(peer):
    """Anybody can send such fields."""
    headers = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    scope = await seen(headers, peer=peer)

    assert (peer, "http", None) == facts(scope)
    assert (b"host", b"inner:8000") in scope["headers"]


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.9", "2001:db8::1"])
async def test_peer_is_known_in_either_family(peer):
    """A socket for both families names IPv4 peers as IPv6."""
    assert "https" == (await seen({"X-Forwarded-Proto": "https"}, peer=peer))["scheme"]


async def test_host_of_the_client_is_the_host():
    """What compares Host with an origin must see the name that the browser sees."""
    assert (b"host", b"files.example") in (await seen({"X-Forwarded-Host": "files.example"}))["headers"]


async def test_fixed_address_stays():
    """LIGHTERAGE_PUBLIC_URL is the word of the operator."""
    scope = await seen({"X-Forwarded-Proto": "https", "X-Forwarded-For": CLIENT}, tell_address=False)

    assert (CLIENT, "https", None) == facts(scope)


def test_networks_that_are_none_are_refused():
    """A slip of the pen must not mean that nobody, or everybody, is trusted."""
    assert len(parse_networks(" 10.0.0.0/8,::1 , ")) == 2
    for bad in ("10.0.0.1/8", "localhost", "*", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=r"address|network|host bits"):
            parse_networks(bad)
