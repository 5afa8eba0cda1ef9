"""The policy, over every action, role, ownership, visibility and scope there is."""

from itertools import product

import pytest

from auth.policy import Action, audience_conditions, can_see, require
from domain.blob import BlobKey, BlobWriter
from domain.errors import LighterageError, NotFound, PermissionDenied, Unauthenticated
from domain.file import EVERYONE, File, Visibility
from domain.page import one_of
from domain.principal import ALL_SCOPES, GUEST, Principal, Scope
from domain.tenant import TenantRole
from domain.upload import Upload
from tests.support.product import NOON

OWNER, ADMIN, MEMBER, VIEWER = TenantRole

# action: (scope it needs, least role, whether others' things need an admin)
NEEDS = {
    Action.LIST_FILES: (Scope.FILES_READ, VIEWER, False),
    Action.READ_FILE: (Scope.FILES_READ, VIEWER, False),
    Action.QUERY_FILE: (Scope.FILES_QUERY, VIEWER, False),
    Action.CHANGE_FILE: (Scope.FILES_WRITE, MEMBER, True),
    Action.PURGE_FILE: (Scope.FILES_WRITE, ADMIN, False),
    Action.SHARE_FILE: (Scope.FILES_SHARE, MEMBER, True),
    Action.REQUEST_FILES: (Scope.FILES_SHARE, MEMBER, False),
    Action.MANAGE_LINKS: (Scope.FILES_SHARE, MEMBER, False),
    Action.LIST_UPLOADS: (Scope.FILES_WRITE, MEMBER, False),
    Action.PROCESS_FILES: (Scope.FILES_WRITE, ADMIN, False),
    Action.CREATE_UPLOAD: (Scope.FILES_WRITE, MEMBER, False),
    Action.WRITE_UPLOAD: (Scope.FILES_WRITE, MEMBER, True),
    Action.READ_TENANT: (None, VIEWER, False),
    Action.SEE_MEMBERS: (None, ADMIN, False),
    Action.MANAGE_MEMBERS: (Scope.TENANT_ADMIN, ADMIN, False),
    Action.LEAVE_TENANT: (None, VIEWER, False),
    Action.CHANGE_TENANT: (Scope.TENANT_ADMIN, ADMIN, False),
    Action.READ_AUDIT: (Scope.TENANT_ADMIN, ADMIN, False),
    Action.MANAGE_KEYS: (None, VIEWER, False),
    Action.MANAGE_WEBHOOKS: (Scope.TENANT_ADMIN, ADMIN, False),
}
OF_A_LOG_IN = {Action.MANAGE_KEYS, Action.LEAVE_TENANT}


def a_file(*, tenant_id: str = "tenant_a", uploaded_by: str | None, visibility: Visibility) -> File:
    key = BlobKey("a/b/c")
    return File(
        "file_1",  # type: ignore[arg-type]
        tenant_id,
        "a.txt",
        "text/plain",
        1,
        key,
        "e",
        uploaded_by,  # type: ignore[arg-type]
        NOON,
        NOON,
        visibility=visibility,
    )


def an_upload(*, tenant_id: str = "tenant_a", user_id: str = "user_anna", id: str = "upload_1") -> Upload:
    writer = BlobWriter(BlobKey("a/b/c"), "text/plain")
    return Upload(id, tenant_id, "file_1", user_id, "a", "text/plain", 1, writer, NOON, NOON, NOON)  # type: ignore[arg-type]


def anna(role: TenantRole, scopes: frozenset[Scope] = ALL_SCOPES) -> Principal:
    return Principal("user_anna", "tenant_a", role, scopes, "session_1")  # type: ignore[arg-type]


def outcome(principal: Principal, action: Action, resource: File | Upload | None = None) -> type | str:
    try:
        return require(principal, action, resource)
    except LighterageError as error:
        return type(error)


def test_every_action_has_its_row_here():
    """An action that nobody thought about must not be allowed by chance."""
    assert set(Action) == set(NEEDS)


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_file_is_let_out_by_the_table(action):
    """Role by ownership by visibility by scope, each combination."""
    scope, least, needs_own = NEEDS[action]
    for role, owner, visibility, scopes in product(
        TenantRole, ("user_anna", "user_other", None), Visibility, (ALL_SCOPES, ALL_SCOPES - {scope}, frozenset())
    ):
        file = a_file(uploaded_by=owner, visibility=visibility)
        is_admin, is_own = role.covers(ADMIN), owner == "user_anna"
        has_right = role.covers(least) and (is_own or is_admin or not needs_own)
        if not (is_own or is_admin or visibility is not Visibility.PRIVATE):
            expected: type | str = NotFound
        else:
            expected = "tenant_a" if has_right and (scope is None or scope in scopes) else PermissionDenied
        assert expected == outcome(anna(role, scopes), action, file), (role, owner, visibility, scopes)


@pytest.mark.parametrize("action", Action)
def test_some_things_are_for_people_only(action):
    """A key that leaked must not make others, whoever made it."""
    by_key = Principal("user_anna", "tenant_a", OWNER, ALL_SCOPES, api_key_id="apikey_1")  # type: ignore[arg-type]

    assert (PermissionDenied if action in OF_A_LOG_IN else "tenant_a") == outcome(by_key, action)


@pytest.mark.parametrize(("action", "role"), [*product(Action, TenantRole)])
def test_other_tenants_things_are_never_there(action, role):
    """Whatever the role, whoever is named as owner, however public."""
    for visibility in Visibility:
        theirs = a_file(tenant_id="tenant_b", uploaded_by="user_anna", visibility=visibility)
        assert NotFound is outcome(anna(role), action, theirs)
        assert not can_see(anna(role), theirs)
    assert NotFound is outcome(anna(role), action, an_upload(tenant_id="tenant_b"))


@pytest.mark.parametrize("action", Action)
def test_guest_and_homeless_are_asked_to_log_in(action):
    """No tenant or no role is as good as no log-in."""
    nobody = Principal("user_anna", None, OWNER, ALL_SCOPES)  # type: ignore[arg-type]
    no_role = Principal("user_anna", "tenant_a", None, ALL_SCOPES)  # type: ignore[arg-type]

    for principal in (GUEST, nobody, no_role):
        assert Unauthenticated is outcome(principal, action)
        assert Unauthenticated is outcome(principal, action, an_upload())


def test_upload_of_another_member_is_hidden_but_from_admins():
    """Uploads have no visibility: they are their user's, and the admins'."""
    theirs = an_upload(user_id="user_other")
    outcomes = [outcome(anna(role), Action.WRITE_UPLOAD, theirs) for role in TenantRole]

    assert ["tenant_a", "tenant_a", NotFound, NotFound] == outcomes


@pytest.mark.parametrize("action", Action)
def test_capability_writes_its_one_upload_only(action):
    """Also an owner's; and of what it cannot see it learns nothing."""
    principal = Principal("user_anna", "tenant_a", MEMBER, ALL_SCOPES, upload_id="upload_1")  # type: ignore[arg-type]
    own, other = an_upload(), an_upload(id="upload_2")

    assert ("tenant_a" if action is Action.WRITE_UPLOAD else PermissionDenied) == outcome(principal, action, own)
    assert PermissionDenied is outcome(principal, action, other)
    assert PermissionDenied is outcome(principal, action)
    assert NotFound is outcome(principal, action, an_upload(id="upload_2", user_id="user_other"))


def test_lists_are_narrowed_to_what_one_may_see():
    """An admin sees all; others their own and everyone's."""
    assert audience_conditions(anna(ADMIN)) == []
    assert [one_of("audience", (EVERYONE, "user_anna"))] == audience_conditions(anna(MEMBER))
