"""Accounts made from the command line, and who remembers whom for how long."""

import asyncio

import pytest

from domain.errors import InvalidCredentials, InvalidValue, TokenInvalid
from domain.tenant import TENANTS, USAGES, TenantRole
from domain.user import SESSIONS, USERS
from tests.support.product import PASSWORD


@pytest.fixture
def accounts(world):
    return world.product.services.accounts


async def test_new_user_owns_a_tenant_of_their_own(world, accounts):
    """With counters that stand at nothing."""
    saved = await accounts.save_user("Carla@Example.org", PASSWORD, tenant_name="Carla's Maps")
    session = await accounts.log_in("carla@example.org", PASSWORD, client="test")
    usage = await world.product.records.collection(USAGES).get(saved.tenant.id, saved.tenant.id)

    assert (True, "carla-s-maps", "carla@example.org") == (saved.is_new, saved.tenant.slug, saved.user.email)
    assert (TenantRole.OWNER, saved.tenant.id) == (session.principal.role, session.principal.tenant_id)
    assert (0, 0, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
    assert saved.user.email_verified_at is not None


async def test_user_by_name_has_no_address(accounts):
    """Row 001: `lighterage user NAME PASSWORD 1`; the password need not be a good one."""
    saved = await accounts.save_user("Dora", "x")

    assert ("dora", None) == (saved.user.username, saved.user.email)
    assert (await accounts.log_in("DORA", "x", client="test")).principal.user_id == saved.user.id


async def test_same_user_twice_is_changed_not_made_again(world, accounts):
    """And keeps the tenant with everything in it."""
    first = await accounts.save_user("dora", "one")
    second = await accounts.save_user("dora", "two")
    users = await world.product.records.collection(USERS).count("system")

    assert (False, first.user.id, first.tenant.id) == (second.is_new, second.user.id, second.tenant.id)
    assert 3 == users
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("dora", "one", client="test")


async def test_two_tenants_of_one_name_have_two_slugs(world, accounts):
    """A slug is an address."""
    slugs = {(await accounts.save_user(f"user{number}", "x", tenant_name="Main")).tenant.slug for number in range(5)}
    count = await world.product.records.collection(TENANTS).count("system")

    assert 5 == len(slugs)
    assert 7 == count


async def test_two_processes_that_start_at_once_make_one_administrator(accounts):
    """Both see to it that there is one."""
    tries = [accounts.ensure_user("admin@localhost", PASSWORD, tenant_name="Main") for _ in range(4)]
    saved = await asyncio.gather(*tries)

    assert 1 == len({one.user.id for one in saved})
    assert await accounts.has_user("admin@localhost")


async def test_administrator_with_the_right_password_is_left_alone(accounts):
    """A restart must not log everybody out."""
    await accounts.ensure_user("admin@localhost", PASSWORD, tenant_name="Main")
    session = await accounts.log_in("admin@localhost", PASSWORD, client="test")
    await accounts.ensure_user("admin@localhost", PASSWORD, tenant_name="Main")

    assert session.principal == await accounts.authenticate(session.access_token)


@pytest.mark.parametrize("name", ["", "a b@c", "a/b", "x" * 300])
async def test_wrong_name_makes_nobody(world, accounts, name):
    """It would become a folder."""
    with pytest.raises(InvalidValue):
        await accounts.save_user(name, PASSWORD)

    assert 2 == await world.product.records.collection(USERS).count("system")


async def test_refresh_token_is_not_kept(world, accounts):
    """Who steals the database cannot go on as anybody."""
    session = world.anna.session
    kept = await world.product.records.collection(SESSIONS).get("system", session.principal.session_id)
    secret = session.refresh_token.partition(".")[2]

    assert len(secret) >= 43
    assert secret not in repr(kept)


async def test_checked_token_is_believed_for_a_second(world, accounts):
    """A burst of requests costs one look; after that, what changed is seen."""
    await accounts.authenticate(world.anna.session.access_token)
    sessions = world.product.records.collection(SESSIONS)
    await sessions.delete("system", world.anna.principal.session_id)
    world.clock.advance(seconds=0.99)
    await accounts.authenticate(world.anna.session.access_token)
    world.clock.advance(seconds=0.01)
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(world.anna.session.access_token)
