"""Users from the environment, and name and password with every request."""

from base64 import b64encode

import pytest

from domain.errors import InvalidCredentials
from services.basic import BasicLogIns
from tests.support.product import PASSWORD, http_client, open_world, tus_client
from tests.support.upload_client import TUS

ANNA = "anna@example.org"


@pytest.fixture
async def world(tmp_path):
    async with open_world(tmp_path, basic_auth=True, users="alice:pw1, bob:p:w2", address_rate="off") as opened:
        await opened.product.ensure_admin()
        yield opened


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


async def status(world, headers: dict[str, str]) -> int:
    """404 is "come in, but there is no such file"."""
    async with http_client(world.app) as http:
        return (await http.get(f"/api/v1/files/file_{'0' * 26}/content", headers=headers)).status_code


async def test_users_of_the_environment_can_log_in_R002_5(world):
    """Each in a tenant of their own, from every start on; a changed password is taken over."""
    accounts = world.product.services.accounts
    alice = await accounts.log_in("alice", "pw1", client="test")
    bob = await accounts.log_in("bob", "p:w2", client="test")
    await world.product.ensure_admin()

    assert alice.tenant is not None
    assert bob.tenant is not None
    assert {"alice", "bob"} == {alice.tenant.slug, bob.tenant.slug}
    assert alice.principal == await accounts.authenticate(alice.access_token)


async def test_basic_is_taken_where_it_is_switched_on_R002_53(world):
    """`curl -u alice:pw1 …`"""
    answers = [
        await status(world, basic("alice", "pw1")),
        await status(world, basic("bob", "p:w2")),
        await status(world, basic("alice", "wrong")),
        await status(world, basic("nobody", "pw1")),
    ]

    assert [404, 404, 401, 401] == answers


async def test_basic_is_refused_where_it_is_not(tmp_path):
    """The default."""
    async with open_world(tmp_path) as world:
        assert 401 == await status(world, basic(ANNA, PASSWORD))


@pytest.mark.parametrize("credentials", ["", "x", "=", "YQ==", "//8=", "YTpi\xff", "a" * 9000])
async def test_what_is_no_pair_is_refused(world, credentials):
    """No colon, no base64, no UTF-8."""
    assert 401 == await status(world, {"Authorization": f"Basic {credentials}".encode("latin-1")})


async def test_a_right_pair_is_hashed_once(world, monkeypatch):
    """A hash takes as long as hundreds of requests; a wrong one is hashed each time."""
    calls = []
    verify = type(world.product.services.accounts._passwords).verify

    async def counted(self, password, hashed):
        calls.append(password)
        return await verify(self, password, hashed)

    monkeypatch.setattr(type(world.product.services.accounts._passwords), "verify", counted)
    for password in ("pw1", "pw1", "wrong", "wrong", "pw1"):
        await status(world, basic("alice", password))
    world.clock.advance(seconds=2)
    await status(world, basic("alice", "pw1"))
    world.clock.advance(seconds=300)
    await status(world, basic("alice", "pw1"))

    assert ["pw1", "wrong", "wrong", "pw1"] == calls


@pytest.mark.parametrize(("change", "expected"), [("another password", 401), ("switched off", 403)])
async def test_remembered_pair_ends_with_the_password_and_the_user(world, change, expected):
    """Within a second; who knows the password of an account that was switched off is told that it was."""
    assert 404 == await status(world, basic("alice", "pw1"))
    is_off = change == "switched off"
    await world.product.services.accounts.save_user("alice", "pw1" if is_off else "another", is_active=not is_off)
    world.clock.advance(seconds=1)

    assert expected == await status(world, basic("alice", "pw1"))


async def test_basic_is_limited_as_log_ins_are_R000_9(world):
    """It is another door to the same guess, on every face."""
    answers = [await status(world, basic("alice", f"wrong {number}")) for number in range(20)]
    upload = await tus_client(world.app).send("HEAD", "/files/x", {**TUS, **basic("alice", "wrong")})

    assert [401] * 10 + [429] * 10 == answers
    assert (429, "90") == (upload.status, upload.headers["retry-after"])


async def test_pairs_that_join_to_one_text_are_two(world):
    """ "a" with "b c" is not "a b" with "c"."""
    log_ins = BasicLogIns(accounts=world.product.services.accounts, records=world.product.records, clock=world.clock)
    await world.product.services.accounts.save_user("a", "b c")
    assert await log_ins.authenticate("a", "b c", client="test")
    with pytest.raises(InvalidCredentials):
        await log_ins.authenticate("a b", "c", client="test")
