"""API keys: made once, narrower than their maker, good as a bearer token and for signatures, and ended."""

from datetime import timedelta

import pytest

from auth.sealing import Sealer
from auth.tokens import new_private_key
from domain.apikey import API_KEYS
from domain.audit import AUDIT_EVENTS, AuditAction
from domain.errors import InvalidValue, NotFound, PermissionDenied, TokenExpired, TokenInvalid, Unauthenticated
from domain.page import Order, PageRequest
from domain.principal import ALL_SCOPES, GUEST, Principal, Scope
from domain.user import SigningKey
from services import keys as module
from services.files import FileQuery
from tests.support.product import NOON, PASSWORD, http_client, tus_client
from tests.support.upload_client import TUS

READ, WRITE = Scope.FILES_READ, Scope.FILES_WRITE


@pytest.fixture
def accounts(world):
    return world.product.services.accounts


@pytest.fixture
def keys(world):
    return world.product.services.keys


async def create(keys, principal, *scopes, name="backup", expires_at=None):
    return await keys.create(principal, name=name, scopes=scopes or (READ,), expires_at=expires_at, client="test")


async def test_key_is_a_bearer_token_everywhere(world, keys, accounts, anna):
    """For uploads and downloads as for GraphQL, in its maker's name and tenant."""
    issued = await create(keys, anna.principal, READ, WRITE)
    client = tus_client(world.app, issued.token)
    path = await client.create(5)
    sent = await client.patch(path, 0, b"hello")
    principal = await accounts.authenticate(issued.token)
    file = await world.file_of(anna)
    async with http_client(world.app, issued.token) as http:
        content = (await http.get(f"/api/v1/files/{file.id}/content")).content

    assert (204, b"hello", anna.principal.user_id) == (sent.status, content, file.uploaded_by)
    assert (anna.principal.user_id, anna.tenant_id, {READ, WRITE}) == (
        principal.user_id,
        principal.tenant_id,
        principal.scopes,
    )


async def test_key_does_no_more_than_its_scopes(world, keys, accounts, anna):
    """Whatever its maker may do."""
    principal = await accounts.authenticate((await create(keys, anna.principal, READ)).token)
    client = tus_client(world.app, (await create(keys, anna.principal, READ)).token)
    refused = await client.send("POST", "/files/", {**TUS, "Upload-Length": "1"}, b"")

    assert [] == (await world.product.services.files.list_files(principal, FileQuery())).page.items
    assert 403 == refused.status


async def test_key_makes_and_ends_no_keys(keys, accounts, anna):
    """One that leaked must not live on in another."""
    issued = await create(keys, anna.principal, *ALL_SCOPES)
    principal = await accounts.authenticate(issued.token)
    with pytest.raises(PermissionDenied):
        await create(keys, principal, READ)
    with pytest.raises(PermissionDenied):
        await keys.revoke(principal, issued.key.id, client="test")

    assert [issued.key.id] == [key.id for key in await keys.list_own(anna.principal)]


async def test_key_has_no_scope_that_its_maker_has_not(keys, anna):
    """A narrow token is not widened by way of a key."""
    narrow = Principal(
        anna.principal.user_id, anna.tenant_id, anna.principal.role, frozenset({READ}), anna.principal.session_id
    )
    with pytest.raises(PermissionDenied):
        await create(keys, narrow, READ, WRITE)
    with pytest.raises(Unauthenticated):
        await create(keys, GUEST, READ)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": " "}, "name"), ({"name": "a\nb"}, "name"), ({"expires_at": NOON}, "expires_at")],
)
async def test_what_is_not_taken_is_named(keys, anna, change, field):
    """For the form that asked."""
    with pytest.raises(InvalidValue) as caught:
        await create(keys, anna.principal, READ, **change)
    with pytest.raises(InvalidValue) as no_scope:
        await keys.create(anna.principal, name="a", scopes=(), expires_at=None, client="test")

    assert ((field,), ("scopes",)) == (caught.value.path, no_scope.value.path)


async def test_keys_of_a_user_are_bounded(keys, anna, monkeypatch):
    """Nobody looks after more."""
    monkeypatch.setattr(module, "KEYS_MAX", 2)
    for _ in range(2):
        await create(keys, anna.principal)
    with pytest.raises(InvalidValue):
        await create(keys, anna.principal)


async def test_revoked_key_stops_within_a_second(world, keys, accounts, anna):
    """As every token does; what happened stays written down."""
    issued = await create(keys, anna.principal, READ)
    assert await accounts.authenticate(issued.token)
    gone = await keys.revoke(anna.principal, issued.key.id, client="test")
    world.clock.advance(seconds=1)
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(issued.token)
    with pytest.raises(TokenInvalid):
        await accounts.key_pair(issued.key.access_key_id)
    with pytest.raises(NotFound):
        await keys.revoke(anna.principal, issued.key.id, client="test")
    events = world.product.records.collection(AUDIT_EVENTS)
    page = await events.list(anna.tenant_id, order=Order("number"), page=PageRequest(10))

    assert gone.id == issued.key.id
    assert [] == await keys.list_own(anna.principal)
    assert [(AuditAction.API_KEY_CREATED, gone.id), (AuditAction.API_KEY_REVOKED, gone.id)] == [
        (event.action, event.subject_id) for event in page.items
    ]


async def test_key_ends_with_its_time(world, keys, accounts, anna):
    """Also where it was checked a moment ago."""
    issued = await create(keys, anna.principal, READ, expires_at=NOON + timedelta(seconds=10))
    world.clock.advance(seconds=9.9)
    assert await accounts.authenticate(issued.token)
    world.clock.advance(seconds=0.1)
    with pytest.raises(TokenExpired):
        await accounts.authenticate(issued.token)
    with pytest.raises(TokenExpired):
        await accounts.key_pair(issued.key.access_key_id)


async def test_key_stops_with_its_user(world, keys, accounts, anna):
    """Switched off is switched off; a change of password alone leaves the programs running."""
    issued = await create(keys, anna.principal, READ)
    await accounts.save_user("anna@example.org", "another battery staple")
    assert await accounts.authenticate(issued.token)
    await accounts.save_user("anna@example.org", PASSWORD, is_active=False)
    world.clock.advance(seconds=1)
    for wrong in (accounts.authenticate(issued.token), accounts.key_pair(issued.key.access_key_id)):
        with pytest.raises(TokenInvalid):
            await wrong


async def test_keys_of_others_are_not_there(keys, anna, bert):
    """Neither in the list nor by id."""
    issued = await create(keys, anna.principal)
    for act in (keys.get(bert.principal, issued.key.id), keys.revoke(bert.principal, issued.key.id, client="test")):
        with pytest.raises(NotFound):
            await act

    assert [] == await keys.list_own(bert.principal)
    assert issued.key == await keys.get(anna.principal, issued.key.id)


async def test_use_is_noted_to_the_minute(world, keys, accounts, anna):
    """Not with every request: that would be a write each."""
    issued = await create(keys, anna.principal)
    seen = []
    for seconds in (0, 30, 31):
        world.clock.advance(seconds=seconds)
        await accounts.authenticate(issued.token)
        seen.append((await keys.get(anna.principal, issued.key.id)).last_used_at)

    assert [NOON, NOON, NOON + timedelta(seconds=61)] == seen


async def test_pair_for_signatures_is_the_token_in_two_parts(keys, accounts, anna):
    """A name of letters and digits, and the secret of the token."""
    issued = await create(keys, anna.principal, READ)
    principal, secret = await accounts.key_pair(issued.key.access_key_id)

    assert principal == await accounts.authenticate(issued.token)
    assert (issued.secret, f"{issued.key.prefix}_{issued.secret}") == (secret, issued.token)
    assert issued.key.access_key_id.isalnum()
    assert (28, 40) == (len(issued.key.access_key_id), len(secret))


@pytest.mark.parametrize("wrong", ["", "lk_", "lk_x_y", "lk_\ud800", f"lk_{'0' * 26}_x", "LK", "LK" + "0" * 26, "AKIA"])
async def test_key_that_is_none_is_refused(accounts, wrong):
    """Without a word about why."""
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(wrong)
    with pytest.raises(TokenInvalid):
        await accounts.key_pair(wrong)


async def test_wrong_secret_is_refused(keys, accounts, anna):
    """A key's name is no secret."""
    issued = await create(keys, anna.principal)
    for wrong in (f"{issued.key.prefix}_", issued.key.prefix, issued.token[:-1], issued.token + "x"):
        with pytest.raises(TokenInvalid):
            await accounts.authenticate(wrong)


async def test_secret_is_not_kept_in_the_clear(world, keys, anna):
    """And what is kept can be opened under its own name and by its own server alone."""
    issued = await create(keys, anna.principal)
    kept = await world.product.records.collection(API_KEYS).get("system", issued.key.id)
    other = Sealer(SigningKey("key_1", new_private_key(), NOON))
    with pytest.raises(TokenInvalid):
        other.open(kept.sealed_secret, name=kept.id)
    sealed = other.seal("secret", name="a")
    with pytest.raises(TokenInvalid):
        other.open(sealed, name="b")

    assert issued.secret not in repr(kept)
    assert "secret" == other.open(sealed, name="a")
