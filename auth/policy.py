"""
Who may do what: one table of actions, and the rules of visibility. Pure; every service method asks here first.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from domain.errors import NotFound, PermissionDenied, Unauthenticated
from domain.file import EVERYONE, File, Visibility
from domain.ids import TenantId
from domain.page import Condition, one_of
from domain.principal import Principal, Scope
from domain.share import ShareLink
from domain.tenant import TenantRole
from domain.upload import Upload


class Action(Enum):
    LIST_FILES = "list files"
    READ_FILE = "read a file"
    QUERY_FILE = "query a file"
    CHANGE_FILE = "change a file"
    PURGE_FILE = "purge a file"
    SHARE_FILE = "share a file"
    REQUEST_FILES = "ask guests for files"
    MANAGE_LINKS = "see or end share links"
    CREATE_UPLOAD = "upload a file"
    LIST_UPLOADS = "list your uploads"
    WRITE_UPLOAD = "continue an upload"
    READ_TENANT = "see the tenant"
    SEE_MEMBERS = "see the members"
    MANAGE_MEMBERS = "change the members"
    LEAVE_TENANT = "leave the tenant"
    CHANGE_TENANT = "change the tenant"
    READ_AUDIT = "read the audit log"
    PROCESS_FILES = "work on jobs"
    MANAGE_WEBHOOKS = "manage webhooks"
    MANAGE_KEYS = "make or revoke API keys"


@dataclass(frozen=True, slots=True)
class _Rule:
    """
    What an action needs: a scope of the token, a role in the tenant, whether it must be one's own thing, and whether
    somebody must have logged in: a key that leaked must not make others.
    """

    scope: Scope | None
    role: TenantRole
    own: bool = False
    log_in: bool = False


_RULES = {
    Action.LIST_FILES: _Rule(Scope.FILES_READ, TenantRole.VIEWER),
    Action.READ_FILE: _Rule(Scope.FILES_READ, TenantRole.VIEWER),
    Action.QUERY_FILE: _Rule(Scope.FILES_QUERY, TenantRole.VIEWER),
    Action.CHANGE_FILE: _Rule(Scope.FILES_WRITE, TenantRole.MEMBER, own=True),
    Action.PURGE_FILE: _Rule(Scope.FILES_WRITE, TenantRole.ADMIN),
    Action.SHARE_FILE: _Rule(Scope.FILES_SHARE, TenantRole.MEMBER, own=True),
    Action.REQUEST_FILES: _Rule(Scope.FILES_SHARE, TenantRole.MEMBER),
    Action.MANAGE_LINKS: _Rule(Scope.FILES_SHARE, TenantRole.MEMBER),
    Action.LIST_UPLOADS: _Rule(Scope.FILES_WRITE, TenantRole.MEMBER),
    Action.CREATE_UPLOAD: _Rule(Scope.FILES_WRITE, TenantRole.MEMBER),
    Action.WRITE_UPLOAD: _Rule(Scope.FILES_WRITE, TenantRole.MEMBER, own=True),
    Action.READ_TENANT: _Rule(None, TenantRole.VIEWER),
    Action.SEE_MEMBERS: _Rule(None, TenantRole.ADMIN),
    Action.MANAGE_MEMBERS: _Rule(Scope.TENANT_ADMIN, TenantRole.ADMIN),
    Action.LEAVE_TENANT: _Rule(None, TenantRole.VIEWER, log_in=True),
    Action.CHANGE_TENANT: _Rule(Scope.TENANT_ADMIN, TenantRole.ADMIN),
    Action.READ_AUDIT: _Rule(Scope.TENANT_ADMIN, TenantRole.ADMIN),
    Action.PROCESS_FILES: _Rule(Scope.FILES_WRITE, TenantRole.ADMIN),
    Action.MANAGE_WEBHOOKS: _Rule(Scope.TENANT_ADMIN, TenantRole.ADMIN),
    Action.MANAGE_KEYS: _Rule(None, TenantRole.VIEWER, log_in=True),
}


Resource: TypeAlias = File | Upload | ShareLink


def require(principal: Principal, action: Action, resource: Resource | None = None) -> TenantId:
    """
    Let the caller do this, or raise.

    Returns:
        The tenant in which it is done.

    Raises:
        Unauthenticated: The caller is a guest.
        NotFound: The thing is another tenant's, or hidden from the caller.
        PermissionDenied: The caller sees it but has not the role or scope.
    """
    if principal.link_id is not None:
        return _require_guest(principal, action, resource)
    if principal.is_guest or principal.tenant_id is None or principal.role is None:
        raise Unauthenticated("this needs a log-in")
    if resource is not None and not can_see(principal, resource):
        raise NotFound(_name(resource))
    if principal.upload_id is not None and not _is_own_capability(principal, action, resource):
        raise PermissionDenied("this token is good for one upload only")
    rule = _RULES[action]
    if rule.scope is not None and rule.scope not in principal.scopes:
        raise PermissionDenied(f"the token's scopes do not let you {action.value}")
    if rule.log_in and principal.api_key_id is not None:
        raise PermissionDenied(f"an API key may not {action.value}")
    if not principal.role.covers(rule.role):
        raise PermissionDenied(f"a {principal.role.value} may not {action.value}")
    if rule.own and resource is not None and not _is_own(principal, resource) and not is_admin(principal):
        raise PermissionDenied(f"only its uploader or an admin may {action.value}")
    return principal.tenant_id


def is_admin(principal: Principal) -> bool:
    return principal.role is not None and principal.role.covers(TenantRole.ADMIN)


def can_see(principal: Principal, resource: Resource) -> bool:
    """Tell whether the caller may know that this is there."""
    if principal.tenant_id is None or principal.tenant_id != _tenant_of(resource):
        return False
    if principal.link_id is not None:
        return isinstance(resource, Upload) and resource.link_id == principal.link_id
    if _is_own(principal, resource) or is_admin(principal):
        return True
    return isinstance(resource, File) and resource.visibility is not Visibility.PRIVATE


def audience_conditions(principal: Principal) -> list[Condition]:
    """Give what a list must be narrowed by, so that it shows only what the caller may see."""
    if is_admin(principal):
        return []
    return [one_of("audience", (EVERYONE, principal.user_id))]


def _require_guest(principal: Principal, action: Action, resource: Resource | None) -> TenantId:
    """Let a guest with a file request upload by it: nothing else is theirs, or there, for them."""
    assert principal.tenant_id is not None
    if resource is not None and not can_see(principal, resource):
        raise NotFound(_name(resource))
    if action not in (Action.CREATE_UPLOAD, Action.WRITE_UPLOAD):
        raise Unauthenticated("this needs a log-in; the link lets you upload only")
    return principal.tenant_id


def _is_own(principal: Principal, resource: Resource) -> bool:
    match resource:
        case Upload():
            owner = resource.user_id
        case ShareLink():
            owner = resource.created_by
        case File():
            owner = resource.uploaded_by
    return owner is not None and owner == principal.user_id


def _tenant_of(resource: Resource) -> str:
    return resource.in_tenant if isinstance(resource, ShareLink) else resource.tenant_id


def _name(resource: Resource) -> str:
    match resource:
        case Upload():
            return "upload"
        case ShareLink():
            return "share link"
        case File():
            return "file"


def _is_own_capability(principal: Principal, action: Action, resource: Resource | None) -> bool:
    return action is Action.WRITE_UPLOAD and isinstance(resource, Upload) and resource.id == principal.upload_id
