"""What was done that touches security: kept for a time, changed by nobody."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain.ids import UserId
from domain.records import Kind


class AuditAction(Enum):
    LOGGED_IN = "logged_in"
    LOG_IN_FAILED = "log_in_failed"
    LOGGED_OUT = "logged_out"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 (a name, no password)
    SIGNED_UP = "signed_up"
    EMAIL_VERIFIED = "email_verified"
    PASSWORD_RESET_REQUESTED = "password_reset_requested"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    MEMBER_INVITED = "member_invited"
    MEMBER_JOINED = "member_joined"
    MEMBER_REMOVED = "member_removed"
    ROLE_CHANGED = "role_changed"
    SHARE_LINK_CREATED = "share_link_created"
    SHARE_LINK_REVOKED = "share_link_revoked"
    TENANT_CHANGED = "tenant_changed"
    IDENTITY_BOUND = "identity_bound"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_REMOVED = "webhook_removed"
    USER_SAVED = "user_saved"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """
    One act.

    Attributes:
        tenant_id: Of acts in a tenant. Acts of a user's own (log-ins, passwords) are of no tenant: SYSTEM.
        actor_id: Who did it, or whose name was tried; None where there is no such user.
        subject_id: What it was done to, where that is not the actor.
        client: Network address.
        number: Counts up within the tenant: the order in which they were done.
    """

    id: str
    tenant_id: str
    at: datetime
    action: AuditAction
    actor_id: UserId | None
    subject_id: str | None = None
    client: str | None = None
    detail: str | None = None
    number: int = 0
    revision: int = 0


AUDIT_EVENTS = Kind(
    "audit_events",
    AuditEvent,
    fields=("number", "at", "actor_id"),
    indexes=(("number",), ("actor_id", "number"), ("at",)),
    sequence="number",
)
