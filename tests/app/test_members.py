"""Who is in a tenant: asked in, roles, out again; what an admin may set; and who may read what was done."""

import asyncio
import re
from dataclasses import replace

import pytest

from domain.audit import AuditAction
from domain.errors import (
    Conflict,
    InvalidValue,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    TokenExpired,
    TokenInvalid,
    Unauthenticated,
)
from domain.ids import TenantId, UserId
from domain.principal import GUEST, Scope
from domain.tenant import Limits, TenantRole
from domain.upload import NewUpload
from services.registration import NewAccount
from services.remembering import BELIEVED_SECONDS
from services.tenants import TenantChanges
from tests.support.mail import letters_in
from tests.support.product import PASSWORD, open_world

OWNER, ADMIN, MEMBER, VIEWER = TenantRole


@pytest.fixture
def members(world):
    return world.product.services.members


@pytest.fixture
def tenants(world):
    return world.product.services.tenants


async def invitation(world) -> str:
    await world.product.postman.settle()
    text = letters_in(world.product.settings.data_dir / "outbox")[-1].get_content()
    return re.findall(r"^  (\S+)", text, re.MULTILINE)[0]


async def join(world, role=MEMBER, email="bert@example.org"):
    """Let Bert into Anna's tenant; gives his session there."""
    services = world.product.services
    await services.members.invite(world.anna.principal, email, role, client="test")
    joined = await services.members.accept(world.bert.principal, await invitation(world), client="test")
    world.bert.session = await services.accounts.refresh(
        world.bert.session.refresh_token, client="test", tenant_id=TenantId(joined.id)
    )
    return world.bert.session


async def roles(world) -> dict[str, TenantRole]:
    page = (await world.product.services.members.list_members(world.anna.principal)).page
    return {one.user_id: one.role for one in page.items}


# ---- in


async def test_member_is_asked_in_and_switches_tenant(world, members, anna, bert):
    """With the account that they have; `refresh` with the tenant's id goes there, and back."""
    own = bert.tenant_id
    session = await join(world, MEMBER)
    back = await world.product.services.accounts.refresh(session.refresh_token, client="test", tenant_id=own)

    assert (anna.tenant_id, MEMBER) == (session.principal.tenant_id, session.principal.role)
    assert (own, OWNER) == (back.principal.tenant_id, back.principal.role)
    assert {anna.principal.user_id: OWNER, bert.principal.user_id: MEMBER} == await roles(world)


async def test_stranger_signs_up_by_invitation_where_sign_up_is_closed(tmp_path):
    """Into the tenant, with no letter to confirm and no tenant of their own."""
    async with open_world(tmp_path, sign_up=False) as world:
        services = world.product.services
        await services.members.invite(world.anna.principal, "Carla@example.org", VIEWER, client="test")
        token = await invitation(world)
        new = NewAccount("carla@example.org", PASSWORD, invite_token=token)
        with pytest.raises(InvalidValue) as caught:
            await services.registration.sign_up(replace(new, email="dora@example.org"), client="test")
        done = await services.registration.sign_up(new, client="test")
        session = await services.accounts.log_in("carla@example.org", PASSWORD, client="test")
        with pytest.raises(TokenInvalid):
            await services.registration.sign_up(new, client="test")

        assert caught.value.path == ("email",)
        assert done.user is not None
        assert (done.user.id, False) == (session.user.id, done.verification_sent)
        assert (world.anna.tenant_id, VIEWER) == (session.principal.tenant_id, session.principal.role)
        assert 1 == len(await services.accounts.memberships(session.principal))


async def test_invitation_is_for_its_mailbox_and_good_once(world, members, anna, bert):
    """For seven days; an old one never changes the role of who is in already."""
    await members.invite(anna.principal, "bert@example.org", MEMBER, client="test")
    token = await invitation(world)
    with pytest.raises(InvalidValue):
        await members.accept(anna.principal, token, client="test")
    await members.accept(bert.principal, token, client="test")
    with pytest.raises(TokenInvalid):
        await members.accept(bert.principal, token, client="test")
    await members.invite(anna.principal, "bert@example.org", ADMIN, client="test")
    await members.accept(bert.principal, await invitation(world), client="test")
    assert MEMBER is (await roles(world))[bert.principal.user_id]
    await members.invite(anna.principal, "bert@example.org", ADMIN, client="test")
    late = await invitation(world)
    world.clock.advance(seconds=7 * 86400)
    with pytest.raises(TokenExpired):
        await members.accept(bert.principal, late, client="test")


async def test_account_that_is_there_is_not_made_again_by_invitation(world, members, anna):
    """Whoever reads the mailbox may know that there is one."""
    await members.invite(anna.principal, "bert@example.org", MEMBER, client="test")
    new = NewAccount("bert@example.org", "another battery staple", invite_token=await invitation(world))
    with pytest.raises(InvalidValue) as caught:
        await world.product.services.registration.sign_up(new, client="test")

    assert "taken" == caught.value.reason


async def test_invitations_are_letters_and_limited_as_such(members, anna):
    """Five an hour to one address."""
    for _ in range(5):
        await members.invite(anna.principal, "carla@example.org", MEMBER, client="test")
    with pytest.raises(RateLimited):
        await members.invite(anna.principal, "carla@example.org", MEMBER, client="test")
    with pytest.raises(InvalidValue):
        await members.invite(anna.principal, "nobody", MEMBER, client="test")


# ---- roles


async def test_role_holds_within_a_second(world, members, anna, bert):
    """For tokens that are out."""
    session = await join(world, MEMBER)
    accounts = world.product.services.accounts
    await members.set_role(anna.principal, bert.principal.user_id, VIEWER, client="test")
    world.clock.advance(seconds=1)

    assert VIEWER is (await accounts.authenticate(session.access_token)).role


@pytest.mark.parametrize("role", [MEMBER, VIEWER])
async def test_members_change_nothing_and_see_no_list(world, members, tenants, anna, role):
    """Only admins do."""
    caller = (await join(world, role)).principal
    for refused in (
        members.list_members(caller),
        members.count_members(caller),
        members.invite(caller, "carla@example.org", VIEWER, client="test"),
        members.set_role(caller, anna.principal.user_id, VIEWER, client="test"),
        members.remove(caller, anna.principal.user_id, client="test"),
        tenants.update(caller, TenantChanges(name="mine"), client="test"),
        world.product.services.audit.of_tenant(caller),
    ):
        with pytest.raises(PermissionDenied):
            await refused


async def test_admin_reaches_no_owner(world, members, anna, bert):
    """Neither makes one, nor changes or removes one; and cannot make themselves one."""
    caller = (await join(world, ADMIN)).principal
    for refused in (
        members.invite(caller, "carla@example.org", OWNER, client="test"),
        members.set_role(caller, bert.principal.user_id, OWNER, client="test"),
        members.set_role(caller, anna.principal.user_id, VIEWER, client="test"),
        members.remove(caller, anna.principal.user_id, client="test"),
    ):
        with pytest.raises(PermissionDenied):
            await refused

    assert {anna.principal.user_id: OWNER, bert.principal.user_id: ADMIN} == await roles(world)


async def test_token_without_the_scope_changes_no_members(members, anna):
    """Whoever holds it."""
    narrow = replace(anna.principal, scopes=frozenset(Scope) - {Scope.TENANT_ADMIN})
    with pytest.raises(PermissionDenied):
        await members.invite(narrow, "carla@example.org", VIEWER, client="test")
    with pytest.raises(Unauthenticated):
        await members.accept(GUEST, "x", client="test")


async def test_a_tenant_keeps_an_owner(members, anna):
    """Else nobody could ever change it again."""
    user_id = anna.principal.user_id
    with pytest.raises(Conflict):
        await members.set_role(anna.principal, user_id, MEMBER, client="test")
    with pytest.raises(Conflict):
        await members.remove(anna.principal, user_id, client="test")


async def test_two_owners_cannot_put_each_other_out_at_once(world, members, anna, bert):
    """One of two changes at the same time is refused."""
    session = await join(world, OWNER)
    outcomes = await asyncio.gather(
        members.remove(anna.principal, bert.principal.user_id, client="test"),
        members.remove(session.principal, anna.principal.user_id, client="test"),
        return_exceptions=True,
    )

    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert 1 == len(refused), outcomes
    assert isinstance(refused[0], Conflict | NotFound)


# ---- out


@pytest.mark.parametrize("by_oneself", [True, False])
async def test_who_is_out_has_no_token_and_no_key_left(world, members, anna, bert, by_oneself):
    """Files stay the tenant's. Who comes back does not bring old keys to life."""
    session = await join(world, MEMBER)
    services = world.product.services
    issued = await services.keys.create(
        session.principal, name="a", scopes=[Scope.FILES_READ], expires_at=None, client="test"
    )
    caller = session.principal if by_oneself else anna.principal
    await members.remove(caller, bert.principal.user_id, client="test")
    world.clock.advance(seconds=1)
    for token in (session.access_token, issued.token):
        with pytest.raises(TokenInvalid):
            await services.accounts.authenticate(token)
    with pytest.raises(NotFound):
        await members.remove(anna.principal, bert.principal.user_id, client="test")
    again = (await services.accounts.log_in("bert@example.org", PASSWORD, client="test")).principal

    assert {anna.principal.user_id: OWNER} == await roles(world)
    assert [] == await services.keys.list_own(again)


async def test_members_of_another_tenant_are_not_there(members, anna, bert):
    """Whoever owns one."""
    for act in (
        members.set_role(bert.principal, anna.principal.user_id, VIEWER, client="test"),
        members.remove(bert.principal, anna.principal.user_id, client="test"),
        members.set_role(bert.principal, UserId("user_" + "0" * 26), VIEWER, client="test"),
    ):
        with pytest.raises(NotFound):
            await act


# ---- limits


async def test_admin_sets_what_may_be_uploaded(world, tenants, anna):
    """From then on; what is left out stays."""
    changes = TenantChanges(name="Maps", file_size_max=5, content_types=("Text/*", "text/*"), trash_retention_days=1)
    changed = await tenants.update(anna.principal, changes, client="test")
    again = await tenants.update(anna.principal, TenantChanges(content_types=None), client="test")
    uploads = world.product.services.uploads

    assert ("Maps", Limits(5, None, ("text/*",), 1)) == (changed.name, changed.limits)
    assert (Limits(5, None, None, 1), again) == (again.limits, await tenants.get(anna.principal))
    with pytest.raises(Exception, match="5"):
        await uploads.begin(anna.principal, NewUpload("a.txt", 6))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (TenantChanges(name=""), "name"),
        (TenantChanges(file_size_max=0), "max_file_size"),
        (TenantChanges(content_types=()), "allowed_content_types"),
        (TenantChanges(content_types=("text",)), "allowed_content_types"),
        (TenantChanges(content_types=("*/*",)), "allowed_content_types"),
        (TenantChanges(content_types=("a/b",) * 101), "allowed_content_types"),
        (TenantChanges(trash_retention_days=-1), "trash_retention_days"),
    ],
)
async def test_limit_that_cannot_be_is_named(tenants, anna, changes, field):
    """And nothing changes."""
    before = await tenants.get(anna.principal)
    with pytest.raises(InvalidValue) as caught:
        await tenants.update(anna.principal, changes, client="test")

    assert (field, before) == (caught.value.path[0], await tenants.get(anna.principal))


async def test_quota_is_set_by_whoever_runs_the_server(world, tenants, anna):
    """An admin of the tenant could else give themselves any."""
    tenant = await tenants.set_quota("anna", stored_bytes_max=5)
    uploads = world.product.services.uploads
    await uploads.begin(anna.principal, NewUpload("a.txt", 5))
    with pytest.raises(QuotaExceeded):
        await uploads.begin(anna.principal, NewUpload("b.txt", 1))
    await tenants.set_quota("anna", stored_bytes_max=None)
    world.clock.advance(seconds=BELIEVED_SECONDS)
    await uploads.begin(anna.principal, NewUpload("b.txt", 1))
    with pytest.raises(NotFound):
        await tenants.set_quota("nobody", stored_bytes_max=5)

    assert 5 == tenant.limits.stored_bytes_max


async def test_sign_up_gets_the_quota_that_is_set(tmp_path):
    """So that strangers cannot fill a disk."""
    async with open_world(tmp_path, verify_email=False, tenant_bytes_max=7) as world:
        services = world.product.services
        await services.registration.sign_up(NewAccount("carla@example.org", PASSWORD), client="test")
        session = await services.accounts.log_in("carla@example.org", PASSWORD, client="test")

        assert session.tenant is not None
        assert 7 == session.tenant.limits.stored_bytes_max


# ---- what was done


async def test_tenant_reads_what_was_done_in_it(world, members, tenants, anna, bert):
    """Newest first, page by page; another tenant reads nothing of it."""
    audit = world.product.services.audit
    await join(world, MEMBER)
    await members.set_role(anna.principal, bert.principal.user_id, ADMIN, client="here")
    await tenants.update(anna.principal, TenantChanges(name="Maps"), client="here")
    await members.remove(anna.principal, bert.principal.user_id, client="here")
    first = await audit.of_tenant(anna.principal, first=2)
    rest = await audit.of_tenant(anna.principal, first=10, after=first.cursor_of(first.page.items[-1]))
    again = await world.product.services.accounts.log_in("bert@example.org", PASSWORD, client="test")

    assert [
        AuditAction.MEMBER_REMOVED,
        AuditAction.TENANT_CHANGED,
        AuditAction.ROLE_CHANGED,
        AuditAction.MEMBER_JOINED,
        AuditAction.MEMBER_INVITED,
    ] == [event.action for event in [*first.page.items, *rest.page.items]]
    changed = rest.page.items[0]
    assert (anna.principal.user_id, bert.principal.user_id, "here", "member to admin") == (
        changed.actor_id,
        changed.subject_id,
        changed.client,
        changed.detail,
    )
    assert [] == (await audit.of_tenant(again.principal)).page.items


async def test_everyone_reads_what_was_done_with_their_own_account(world, anna, bert):
    """Wrong log-ins with one's own name too; nobody else's."""
    audit, accounts = world.product.services.audit, world.product.services.accounts
    with pytest.raises(Unauthenticated):
        await accounts.log_in("anna@example.org", "wrong", client="stranger")
    annas = (await audit.of_oneself(anna.principal)).page.items
    berts = (await audit.of_oneself(bert.principal)).page.items
    with pytest.raises(Unauthenticated):
        await audit.of_oneself(GUEST)

    assert (AuditAction.LOG_IN_FAILED, "stranger") == (annas[0].action, annas[0].client)
    assert AuditAction.LOG_IN_FAILED not in {event.action for event in berts}
