"""Log-ins at another server: its tokens are taken when it signed them, for us, in time; and whose they are."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from adapters.web.fetch import fetch
from domain.errors import InvalidCredentials, StoreUnavailable, TokenExpired, TokenInvalid
from domain.user import USERS
from services.registration import NewAccount
from tests.support.product import NOON, PASSWORD, http_client, open_world

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """A server that publishes its keys; `asked` counts how often."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                content = issuer.documents.get(self.path)
                self.send_response(302 if content == "elsewhere" else 404 if content is None else 200)
                if content == "elsewhere":
                    self.send_header("Location", "/keys")
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked has read enough
                    self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

            def log_message(self, *_: Any) -> None:
                """Keep silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.documents["/.well-known/openid-configuration"] = discovery
        self.publish(rsa=RSAAlgorithm.to_jwk(RSA_KEY.public_key()))

    def publish(self, **keys: str) -> None:
        self.documents["/keys"] = {"keys": [{**json.loads(key), "kid": name} for name, key in keys.items()]}

    def token(self, *, key: Any = RSA_KEY, alg: str = "RS256", kid: str = "rsa", **changes: Any) -> str:
        claims = {
            "iss": self.url,
            "aud": "lighterage",
            "sub": "carla",
            "exp": int((NOON + timedelta(hours=1)).timestamp()),
            "email": "Carla@example.org",
            "email_verified": True,
            "name": "Carla",
        } | changes
        return jwt.encode({name: one for name, one in claims.items() if one is not None}, key, alg, {"kid": kid})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
async def world(tmp_path, issuer):
    async with open_world(tmp_path, oidc_issuer=issuer.url, oidc_audience="lighterage") as opened:
        yield opened


@pytest.fixture
def accounts(world):
    return world.product.services.accounts


async def test_token_of_the_issuer_is_taken_everywhere(world, accounts, issuer):
    """Who comes for the first time gets an account with a tenant of their own, and the same one ever after."""
    first = await accounts.authenticate(issuer.token())
    again = await accounts.authenticate(issuer.token(jti="another"))
    async with http_client(world.app, issuer.token()) as http:
        answer = await http.get(f"/api/v1/files/file_{'0' * 26}/content")
    user = await accounts.viewer(first)

    assert (first, 404) == (again, answer.status_code)
    assert ("carla@example.org", "Carla") == (user.email, user.name)
    assert 1 == len(await accounts.memberships(first))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody else"},
        {"aud": ["somebody", "else"]},
        {"aud": None},
        {"aud": None, "client_id": "another"},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"exp": None},
        {"nbf": int((NOON + timedelta(minutes=2)).timestamp())},
        {"exp": 10**30},
        {"key": OTHER_KEY},
        {"kid": "unknown"},
        {"key": "a shared secret that is long enough for it", "alg": "HS256"},
        {"key": None, "alg": "none"},
        {"alg": "RS512"},
    ],
)
async def test_token_that_is_not_for_us_is_refused(world, accounts, issuer, changes):
    """Wrong audience, signer, time or algorithm; and nobody is made of it."""
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(issuer.token(**changes))

    assert 2 == await world.product.records.collection(USERS).count("system")


async def test_public_key_is_no_shared_secret(accounts, issuer):
    """The oldest trick: a token signed by HMAC with the text of the published key."""
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "rsa"}).encode())
    body = issuer.token().split(".")[1].encode()
    secret = RSAAlgorithm.to_jwk(RSA_KEY.public_key()).encode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head + b"." + body, secret)
    forged = b".".join([head, body, jwt.utils.base64url_encode(signature)]).decode()
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(forged)


async def test_token_ends_with_its_time(world, accounts, issuer):
    """Also where it was checked a moment ago."""
    token = issuer.token(exp=int((NOON + timedelta(seconds=10)).timestamp()))
    assert await accounts.authenticate(token)
    world.clock.advance(seconds=10)
    with pytest.raises(TokenExpired):
        await accounts.authenticate(token)


@pytest.mark.parametrize("claims", [{"aud": ["other", "lighterage"]}, {"aud": None, "client_id": "lighterage"}])
async def test_audience_may_be_one_of_several(accounts, issuer, claims):
    """And Cognito's access tokens name the client instead."""
    assert await accounts.authenticate(issuer.token(**claims))


@pytest.mark.parametrize(
    ("key", "alg", "jwk"),
    [
        (EC_KEY, "ES256", ECAlgorithm.to_jwk(EC_KEY.public_key())),
        (ED_KEY, "EdDSA", OKPAlgorithm.to_jwk(ED_KEY.public_key())),
    ],
    ids=["ES256", "EdDSA"],
)
async def test_other_kinds_of_keys_are_known(accounts, issuer, key, alg, jwk):
    """Elliptic curves; what we do not know among them is passed over."""
    issuer.publish(strange=json.dumps({"kty": "strange"}), ours=jwk)

    assert await accounts.authenticate(issuer.token(key=key, alg=alg, kid="ours"))


# ---- keys that change, and a server that is away


async def test_new_key_is_fetched_and_made_up_ones_cost_little(world, accounts, issuer):
    """One look in half a minute, however many tokens name keys that are not there."""
    await accounts.authenticate(issuer.token())
    for number in range(5):
        with pytest.raises(TokenInvalid):
            await accounts.authenticate(issuer.token(key=OTHER_KEY, kid=f"made up {number}"))
    before = issuer.asked.count("/keys")
    issuer.publish(new=RSAAlgorithm.to_jwk(OTHER_KEY.public_key()))
    world.clock.advance(seconds=30)

    assert await accounts.authenticate(issuer.token(key=OTHER_KEY, kid="new"))
    assert (1, 2) == (before, issuer.asked.count("/keys"))
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(issuer.token(jti="signed by the key that is gone"))


async def test_issuer_that_is_away_is_no_bad_token(world, accounts, issuer):
    """503 until it was asked once; after that its last keys go on."""
    discovery = issuer.documents.pop("/.well-known/openid-configuration")
    async with http_client(world.app, issuer.token()) as http:
        away = await http.get(f"/api/v1/files/file_{'0' * 26}/content")
        issuer.documents["/.well-known/openid-configuration"] = discovery
        world.clock.advance(seconds=30)
        back = await http.get(f"/api/v1/files/file_{'0' * 26}/content")
        issuer.documents.clear()
        world.clock.advance(seconds=900)
        gone = await http.get(f"/api/v1/files/file_{'0' * 26}/content")

    assert [503, 404, 404] == [away.status_code, back.status_code, gone.status_code]


@pytest.mark.parametrize(
    "discovery",
    [b"{", b"[]", {"issuer": "http://other", "jwks_uri": "x"}, {"issuer": 1}, "elsewhere", b"x" * 1_000_001],
)
async def test_discovery_that_is_none_is_as_good_as_away(accounts, issuer, discovery):
    """Also one that leads elsewhere, or is longer than anybody's."""
    issuer.documents["/.well-known/openid-configuration"] = discovery
    with pytest.raises(StoreUnavailable):
        await accounts.authenticate(issuer.token())


@pytest.mark.parametrize("address", ["http://example.org/", "file:///etc/passwd", "ftp://127.0.0.1/", "//x", ""])
async def test_only_tls_is_spoken_with_other_machines(address):
    """Keys that came in the clear would be anybody's."""
    with pytest.raises(StoreUnavailable):
        await fetch(address)


# ---- whose account


async def test_confirmed_address_finds_the_account_that_is_there(accounts, issuer, anna):
    """With everything in it; from then on by what the issuer calls them, whatever the address."""
    principal = await accounts.authenticate(issuer.token(email="anna@example.org"))
    moved = await accounts.authenticate(issuer.token(email="new@example.org"))

    assert (anna.principal.user_id, anna.tenant_id) == (principal.user_id, principal.tenant_id)
    assert principal == moved


@pytest.mark.parametrize("verified", [None, False, "false"])
async def test_address_that_the_issuer_did_not_confirm_is_nobodys(accounts, issuer, anna, verified):
    """Else whoever writes somebody's address into their profile would be them."""
    principal = await accounts.authenticate(issuer.token(email="anna@example.org", email_verified=verified))
    user = await accounts.viewer(principal)

    assert anna.principal.user_id != principal.user_id
    assert (None, True) == (user.email, user.username.startswith("oidc-"))


async def test_second_person_with_one_address_is_refused(accounts, issuer):
    """The account belongs to the first."""
    await accounts.authenticate(issuer.token())
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(issuer.token(sub="somebody else"))


async def test_unconfirmed_sign_up_leaves_no_password_behind(world, accounts, issuer):
    """A stranger signed up with the address first; now its owner comes, and the stranger's password is void."""
    registration = world.product.services.registration
    await registration.sign_up(NewAccount("carla@example.org", PASSWORD, tenant_name="Strange"), client="stranger")
    principal = await accounts.authenticate(issuer.token())

    assert principal.tenant_id is not None
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("carla@example.org", PASSWORD, client="stranger")


async def test_user_who_is_switched_off_stays_out(world, accounts, issuer):
    """Whatever the issuer says."""
    token = issuer.token()
    principal = await accounts.authenticate(token)
    users = world.product.records.collection(USERS)
    user = await users.get("system", principal.user_id)
    await users.save(replace(user, is_active=False), expected_revision=user.revision)
    world.clock.advance(seconds=1)
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(token)


async def test_nobody_is_made_where_that_is_off(tmp_path, issuer):
    """Then the issuer opens the door only for those who have an account."""
    settings = {"oidc_issuer": issuer.url, "oidc_audience": "lighterage", "oidc_sign_up": False}
    async with open_world(tmp_path, **settings) as world:
        accounts = world.product.services.accounts
        with pytest.raises(TokenInvalid):
            await accounts.authenticate(issuer.token())

        assert await accounts.authenticate(issuer.token(email="anna@example.org"))


async def test_without_an_issuer_its_tokens_are_none(tmp_path, issuer):
    """The default."""
    async with open_world(tmp_path) as world:
        with pytest.raises(TokenInvalid):
            await world.product.services.accounts.authenticate(issuer.token())

    assert [] == issuer.asked


@pytest.fixture
def anna(world):
    return world.anna
