"""Tokens: what passes, and every way of not passing."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.tokens import TokenService, audience_of, is_upload_token, new_private_key
from domain.errors import TokenExpired, TokenInvalid
from domain.principal import Scope
from domain.user import SigningKey
from tests.support.product import NOON, FakeClock

PEM = new_private_key()
SCOPES = frozenset({Scope.FILES_READ, Scope.FILES_WRITE})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(clock) -> TokenService:
    return TokenService(SigningKey("key_1", PEM, NOON), issuer="lighterage", clock=clock)


def access(tokens: TokenService, **changes: Any) -> str:
    claims = {"user_id": "user_a", "tenant_id": "tenant_a", "session_id": "session_a", "scopes": SCOPES}
    return tokens.issue_access(**claims | {"lifetime": timedelta(minutes=15)} | changes)[0]


def test_claims_come_back_as_they_went_in(tokens):
    """Who, where, by which log-in, for what, until when."""
    claims = tokens.verify_access(access(tokens))

    assert (claims.user_id, claims.tenant_id, claims.session_id) == ("user_a", "tenant_a", "session_a")
    assert (SCOPES, NOON + timedelta(minutes=15)) == (claims.scopes, claims.expires_at)
    assert tokens.verify_access(access(tokens, tenant_id=None)).tenant_id is None
    assert frozenset() == tokens.verify_access(access(tokens, scopes=frozenset())).scopes


def test_token_expires_to_the_second(tokens, clock):
    """By our clock, not by the library's."""
    token = access(tokens)
    clock.advance(seconds=15 * 60 - 1)
    tokens.verify_access(token)
    clock.advance(seconds=1)
    with pytest.raises(TokenExpired):
        tokens.verify_access(token)


def forged(tokens: TokenService, key: Any, algorithm: str, **changes: Any) -> str:
    claims = jwt.decode(access(tokens), options={"verify_signature": False})
    return jwt.encode(claims | changes, key, algorithm=algorithm)


def unsigned(tokens: TokenService, algorithm: str) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode().rstrip("=")
    return f"{head}.{access(tokens).split('.')[1]}."


def test_tokens_that_others_signed_are_refused_R000_10(tokens):
    """No algorithm, another's key, and the public key taken for a secret."""
    public = base64.urlsafe_b64decode(tokens.jwks()["keys"][0]["x"] + "==")
    for token in (
        unsigned(tokens, "none"),
        unsigned(tokens, "None"),
        unsigned(tokens, "EdDSA"),
        forged(tokens, public, "HS256"),
        forged(tokens, new_private_key(), "EdDSA"),
    ):
        with pytest.raises(TokenInvalid):
            tokens.verify_access(token)


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "somebody"},
    "another audience": {"aud": "lighterage:download"},
    "several audiences and not ours": {"aud": ["a", "b"]},
    "a scope we do not know": {"scope": "files:everything"},
    "scopes that are no text": {"scope": 5},
    "a time that is none": {"exp": "soon"},
    "no user": {"sub": None},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_tokens_of_ours_with_wrong_claims_are_refused(tokens, changes):
    """A key that leaks its signatures elsewhere must not open this door."""
    with pytest.raises(TokenInvalid):
        tokens.verify_access(forged(tokens, PEM, "EdDSA", **changes))


def test_each_token_is_for_one_purpose(tokens):
    """Three kinds, nine ways, three that open."""
    lifetime = timedelta(minutes=1)
    upload = tokens.issue_upload(
        tenant_id="tenant_a", user_id="user_a", upload_id="upload_a", expires_at=NOON + lifetime
    )
    download = tokens.issue_download(tenant_id="tenant_a", file_id="file_a", inline=True, lifetime=lifetime)
    made = {"access": access(tokens), "upload": upload, "download": download}
    checks = {"access": tokens.verify_access, "upload": tokens.verify_upload, "download": tokens.verify_download}
    passed = set()
    for (kind, token), (check, verify) in ((one, other) for one in made.items() for other in checks.items()):
        try:
            verify(token)
        except TokenInvalid:
            continue
        passed.add((kind, check))

    assert {(kind, kind) for kind in made} == passed
    assert [is_upload_token(token) for token in made.values()] == [False, True, False]
    assert ((claims := tokens.verify_download(download)).file_id, claims.inline) == ("file_a", True)
    assert tokens.verify_upload(upload).upload_id == "upload_a"


@given(st.integers(0, 400), st.characters())
def test_any_change_of_a_character_is_seen(at, character):
    """Head, claims or signature."""
    tokens = TokenService(SigningKey("key_1", PEM, NOON), issuer="lighterage", clock=FakeClock())
    token = access(tokens)
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]
    if _bytes_of(changed) == _bytes_of(token):
        return
    with pytest.raises(TokenInvalid):
        tokens.verify_access(changed)


def _bytes_of(token: str) -> list[bytes] | None:
    """Give what a token means: its last characters may differ in bits that base64 does not use."""
    try:
        return [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]
    except ValueError:
        return None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "x" * 5000, "\ud800", "é", "e30.e30.e30", "W10.W10."])
def test_what_is_no_token_is_refused(tokens, text):
    """As one kind of fault."""
    assert audience_of(text) is None
    for verify in (tokens.verify_access, tokens.verify_upload, tokens.verify_download):
        with pytest.raises(TokenInvalid):
            verify(text)


def test_public_key_checks_our_tokens(tokens):
    """As others do who take it from /.well-known/jwks.json."""
    (key,) = tokens.jwks()["keys"]
    claims = jwt.decode(
        access(tokens),
        jwt.PyJWK(key).key,
        algorithms=["EdDSA"],
        audience="lighterage:access",
        options={"verify_exp": False, "verify_iat": False},
    )

    assert claims["sub"] == "user_a"
    assert jwt.get_unverified_header(access(tokens))["kid"] == "key_1"


def test_two_tokens_are_never_the_same(tokens):
    """Each has a number of its own, so that logs can tell them apart."""
    assert access(tokens) != access(tokens)
