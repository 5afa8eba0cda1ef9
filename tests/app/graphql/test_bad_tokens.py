"""Tokens that are no good, on every way in; and cursors that another list made. Over the product on a real socket."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.graphql_client import open_socket
from tests.support.graphql_people import MARK, Everyone
from tests.support.product import NOON

pytestmark = pytest.mark.slow

FILES = "{ files { nodes { name } } viewer { email } }"


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def signed(everyone: Everyone, claims: dict[str, Any], **changes: Any) -> str:
    """Sign other claims with the server's own key; None leaves one out."""
    content = {name: value for name, value in (claims | changes).items() if value is not None}
    key = everyone.product.tokens._private
    return jwt.encode(content, key, algorithm="EdDSA")


def with_the_public_key_as_secret(everyone: Everyone, claims: dict[str, Any]) -> str:
    """What a library takes that lets the token choose between a signature and a shared secret."""
    pem = everyone.product.tokens._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.new(pem, content.encode(), hashlib.sha256).digest()
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


Forge = Callable[[Everyone, str, dict[str, Any]], str]
BAD: dict[str, Forge] = {
    "alg none": lambda _, __, claims: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
    "alg NONE with a signature": lambda _, token, claims: (
        f"{part({'alg': 'NONE'})}.{part(claims)}.{token.rpartition('.')[2]}"
    ),
    "no signature": lambda _, token, __: f"{token.rpartition('.')[0]}.",
    "another signature": lambda _, token, __: f"{token[:-8]}AAAAAAAA",
    "claims of another": lambda _, token, claims: (
        f"{token.split('.')[0]}.{part(claims | {'scope': 'tenant:admin'})}.{token.split('.')[2]}"
    ),
    "another key": lambda _, __, claims: jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"),
    "public key as secret": lambda everyone, _, claims: with_the_public_key_as_secret(everyone, claims),
    "expired": lambda everyone, _, claims: signed(everyone, claims, exp=int(NOON.timestamp())),
    "without end": lambda everyone, _, claims: signed(everyone, claims, exp=None),
    "end that is no time": lambda everyone, _, claims: signed(everyone, claims, exp="tomorrow"),
    "for downloads": lambda everyone, _, claims: signed(everyone, claims, aud="lighterage:download"),
    "for another service": lambda everyone, _, claims: signed(everyone, claims, aud="https://elsewhere.example"),
    "without audience": lambda everyone, _, claims: signed(everyone, claims, aud=None),
    "from another issuer": lambda everyone, _, claims: signed(everyone, claims, iss="elsewhere"),
    "of no session": lambda everyone, _, claims: signed(everyone, claims, sid=f"session_{'0' * 26}"),
    "of another's session": lambda everyone, _, claims: signed(
        everyone, claims, sub=everyone.people["owner"].principal.user_id
    ),
    "in another tenant": lambda everyone, _, claims: signed(
        everyone, claims, tid=everyone.people["other"].principal.tenant_id
    ),
    "with a scope that there is not": lambda everyone, _, claims: signed(everyone, claims, scope="everything"),
    "a key of nobody": lambda _, __, ___: f"lk_{'0' * 26}_{'0' * 48}",
    "no token at all": lambda _, __, ___: "undefined",
}


@pytest.mark.parametrize("bad", BAD)
async def test_bad_token_opens_no_way_in_R000_10(everyone: Everyone, bad: str) -> None:
    """401 on HTTP before the body is read, 4403 on a socket; a good one like it was taken."""
    member = everyone.people["member"]
    assert member.token is not None
    claims = jwt.decode(member.token, options={"verify_signature": False})
    token = BAD[bad](everyone, member.token, claims)
    bearer = {"Authorization": f"Bearer {token}"}
    stream = bearer | {"Accept": "text/event-stream"}

    async with httpx2.AsyncClient(base_url=f"http://{everyone.address}") as http:
        answers = [
            await http.post("/graphql", json={"query": FILES}, headers=bearer),
            await http.post("/graphql", json={"query": FILES}, headers=stream),
            await http.get("/graphql", params={"query": FILES}, headers=stream),
        ]
    async with open_socket(everyone.address) as connection:
        await connection.send(type="connection_init", payload=bearer)
        closed = await connection.closed_with()

    assert [401] * 3 == [answer.status_code for answer in answers]
    assert all("invalid_token" in answer.headers["www-authenticate"] for answer in answers)
    assert not any(MARK in answer.text or "example.org" in answer.text for answer in answers)
    assert closed == (4403, "Forbidden")
    assert (await everyone.ask(FILES, {}, member))["data"]["viewer"] == {"email": member.email}


async def test_good_claims_signed_anew_are_taken(everyone: Everyone) -> None:
    """So it is what was changed in them that the test above saw refused."""
    member = everyone.people["member"]
    claims = jwt.decode(member.token or "", options={"verify_signature": False})
    async with httpx2.AsyncClient(base_url=f"http://{everyone.address}") as http:
        bearer = {"Authorization": f"Bearer {signed(everyone, claims)}"}
        answer = await http.post("/graphql", json={"query": FILES}, headers=bearer)

    assert answer.json()["data"]["viewer"] == {"email": member.email}


LISTS = {
    "files": "files(first: 1{})",
    "files by name": "files(first: 1, orderBy: {{field: NAME}}{})",
    "files by name, down": "files(first: 1, orderBy: {{field: NAME, direction: DESC}}{})",
    "files of a type": 'files(first: 1, filter: {{contentType: {{eq: "text/csv"}}}}{})',
    "security events": "securityEvents(first: 1{})",
    "audit events": "auditEvents(first: 1{})",
}


@pytest.mark.parametrize("source", LISTS)
async def test_cursor_is_good_in_its_own_list_alone(everyone: Everyone, source: str) -> None:
    """In another order, filter, list or tenant it would name another place; so would one that somebody made up."""
    owner, other = everyone.people["owner"], everyone.people["other"]
    found = await everyone.ask(f"{{ list: {LISTS[source].format('')} {{ pageInfo {{ endCursor }} }} }}", {}, owner)
    cursor = found["data"]["list"]["pageInfo"]["endCursor"]

    async def code(name: str, after: str, person: Any = owner) -> str | None:
        text = LISTS[name].format(f", after: {json.dumps(after)}")
        answer = await everyone.ask(f"{{ list: {text} {{ pageInfo {{ endCursor }} }} }}", {}, person)
        return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None

    assert await code(source, cursor) is None
    assert {await code(name, cursor) for name in LISTS if name != source} == {"BAD_REQUEST"}
    assert await code(source, cursor, other) == "BAD_REQUEST"
    for made_up in (cursor[:-1], f"{cursor}x", "", "null", "x" * 3000, part(["x", 1, "y"]), "\x00"):
        assert await code(source, made_up) == "BAD_REQUEST", made_up
