"""Accounts over REST: the three shapes of one log-in, and that nothing about an account leaks."""

import base64
import json

import pytest

from tests.support.mail import letters_in, token_in
from tests.support.product import PASSWORD, http_client, open_world

NEW = {"email": "carla@example.org", "password": PASSWORD}


@pytest.fixture
async def http(world):
    async with http_client(world.app) as client:
        yield client


async def test_log_in_gives_both_tokens_R000_6(http):
    """And a wrong password 401, in the same words as an unknown name."""
    answer = await http.post("/api/v1/login", json={"email": "anna@example.org", "password": PASSWORD})
    wrong = await http.post("/api/v1/login", json={"email": "anna@example.org", "password": "wrong"})
    unknown = await http.post("/api/v1/login", json={"email": "nobody@example.org", "password": "wrong"})

    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)
    assert [401, 401] == [wrong.status_code, unknown.status_code]
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert "www-authenticate" in wrong.headers


async def test_sign_up_sends_a_letter_that_confirms_R000_11_R000_8(world, http):
    """202 whether or not there is such an account; before the letter's link was opened a log-in is 403."""
    first = await http.post("/api/v1/signup", json=NEW)
    early = await http.post("/api/v1/login", json=NEW)
    await world.product.postman.settle()
    token = token_in(letters_in(world.product.settings.data_dir / "outbox")[-1])
    verified = await http.get("/api/v1/verify", params={"token": token})
    again = await http.get("/api/v1/verify", params={"token": token})
    late = await http.post("/api/v1/login", json=NEW)
    taken = await http.post("/api/v1/signup", json=NEW)

    assert (first.status_code, first.json()) == (202, {"user": None, "verification_sent": True})
    assert (early.status_code, early.json()["code"]) == (403, "email_not_verified")
    assert (verified.status_code, verified.json()) == (200, {"verified": True, "email": NEW["email"]})
    assert again.status_code == 401
    assert late.status_code == 200
    assert (taken.status_code, taken.json()) == (202, first.json())


async def test_sign_up_without_letters_is_there_at_once_R000_5(tmp_path):
    """201; a weak password is 422 with its reason, and so is a second account of the address."""
    async with open_world(tmp_path, verify_email=False) as world, http_client(world.app) as http:
        made = await http.post("/api/v1/signup", json=NEW)
        log_in = await http.post("/api/v1/login", json=NEW)
        weak = await http.post("/api/v1/signup", json={"email": "dora@example.org", "password": "short"})
        taken = await http.post("/api/v1/signup", json=NEW)

    assert (made.status_code, made.json()["user"]["email"]) == (201, NEW["email"])
    assert PASSWORD not in made.text
    assert log_in.status_code == 200
    assert (weak.status_code, weak.json()["path"]) == (422, ["password"])
    assert (taken.status_code, taken.json()["reason"]) == (422, "taken")


async def test_bad_log_ins_are_slowed_R000_9(http):
    """429 with the seconds to wait, long before the twentieth."""
    for _ in range(20):
        answer = await http.post("/api/v1/login", json={"email": "anna@example.org", "password": "wrong"})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("by", ["bearer", "refresh_token"])
async def test_log_out_ends_both_tokens_R000_10(http, by):
    """By the access token alone, or by the refresh token."""
    tokens = (await http.post("/api/v1/login", json={"email": "anna@example.org", "password": PASSWORD})).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    before = await http.get("/api/v1/files", headers=bearer)
    if by == "bearer":
        ended = await http.post("/api/v1/logout", json={}, headers=bearer)
    else:
        ended = await http.post("/api/v1/logout", json={"refresh_token": tokens["refresh_token"]})
    after = await http.get("/api/v1/files", headers=bearer)
    refresh = await http.post("/api/v1/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert [200, 204, 401, 401] == [one.status_code for one in (before, ended, after, refresh)]


async def test_forged_and_unsigned_tokens_are_refused_R000_10(world, http):
    """`alg: none` is no signature."""
    head, payload, _ = world.anna.session.access_token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    for token in (f"{none}.{payload}.", f"{head}.{payload}.{'A' * 86}"):
        answer = await http.get("/api/v1/files", headers={"Authorization": f"Bearer {token}"})

        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_log_in_by_user_name_R001_7(world, http):
    """The exact call of the map stock."""
    await world.product.services.accounts.save_user("foo", "bar")
    answer = await http.post("/api/v1/auth", json={"username": "foo", "password": "bar"})

    assert answer.status_code == 200
    assert answer.json()["access_token"].count(".") == 2


async def test_switched_off_user_is_out_at_once_R001_6(world, http):
    """Also with a token that was issued before."""
    accounts = world.product.services.accounts
    await accounts.save_user("foo", "bar")
    token = (await http.post("/api/v1/auth", json={"username": "foo", "password": "bar"})).json()["access_token"]
    await accounts.save_user("foo", "bar", is_active=False)
    again = await http.post("/api/v1/auth", json={"username": "foo", "password": "bar"})
    late = await http.get("/api/v1/files", headers={"Authorization": f"Bearer {token}"})

    assert [403, 401] == [again.status_code, late.status_code]


@pytest.mark.parametrize("slash", ["/", ""])
async def test_token_pair_has_exactly_two_keys_R003_18_R003_19_R003_20(world, http, slash):
    """With and without the last slash, and never a redirect: nobody's POST is to be sent twice."""
    await world.product.services.accounts.save_user("john1", "test")
    pair = await http.post(f"/api/token{slash}", json={"username": "john1", "password": "test"})
    renewed = await http.post(f"/api/token/refresh{slash}", json={"refresh": pair.json()["refresh"]})
    mine = await http.get("/api/files", headers={"Authorization": f"Bearer {renewed.json()['access']}"})

    assert (pair.status_code, pair.json().keys()) == (200, {"refresh", "access"})
    assert pair.json()["access"].count(".") == 2
    assert (renewed.status_code, renewed.json().keys()) == (200, {"refresh", "access"})
    assert mine.status_code == 200


async def test_password_is_set_anew_by_letter(world, http):
    """Without GraphQL too: ask for the letter, redeem what it brought."""
    asked = await http.post("/api/v1/password/forgot", json={"email": "anna@example.org"})
    nobody = await http.post("/api/v1/password/forgot", json={"email": "nobody@example.org"})
    await world.product.postman.settle()
    token = token_in(letters_in(world.product.settings.data_dir / "outbox")[-1])
    done = await http.post("/api/v1/password/reset", json={"token": token, "new_password": "another battery horse"})
    old = await http.post("/api/v1/login", json={"email": "anna@example.org", "password": PASSWORD})

    assert [202, 202, 200, 401] == [one.status_code for one in (asked, nobody, done, old)]
    assert "access_token" in done.json()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"email": "anna@example.org"}, ["password"]),
        ({"email": 1, "password": "x"}, ["email"]),
        ({"email": "anna@example.org", "password": ["x"]}, ["password"]),
        ({"email": "anna@example.org", "password": "x", "admin": True}, ["admin"]),
        ([], None),
        ("{", None),
        ("\xff", None),
    ],
)
async def test_wrong_bodies_name_the_field_R000_34(http, body, path):
    """422 with the path; nothing of the input comes back."""
    content = json.dumps(body) if not isinstance(body, str) else body.encode("latin-1")
    answer = await http.post("/api/v1/login", content=content, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"], answer.json().get("path")) == (422, "invalid_value", path)


async def test_endless_json_is_refused_R000_34(http):
    """Before it is all read."""
    answer = await http.post("/api/v1/login", content=b'{"email": "' + b"a" * 2**20 + b'"}')

    assert (answer.status_code, answer.json()["code"]) == (413, "length_exceeded")
