"""The root classes as a table, field by field as the SDL has them, and the schema made of them."""

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers.accounts import (
    log_in,
    log_out,
    refresh_token,
    request_password_reset,
    resend_verification,
    reset_password,
    server_info,
    sign_up,
    tenant,
    verify_email,
    viewer,
)
from resolvers.files import (
    delete_files,
    file_events,
    get_file,
    list_files,
    purge_files,
    restore_file_version,
    restore_files,
    update_file,
)
from resolvers.jobs import retry_processing
from resolvers.keys import create_api_key, list_api_keys, revoke_api_key
from resolvers.members import (
    accept_invitation,
    audit_events,
    invite_member,
    remove_member,
    security_events,
    update_member,
    update_tenant,
)
from resolvers.nodes import node, nodes
from resolvers.queries import save_result, select, select_rows
from resolvers.shares import create_share_link, revoke_share_link, shared_file
from resolvers.uploads import abort_upload, create_upload, get_upload, list_uploads, upload_progress
from schema.accounts import (
    LogInPayload,
    LogOutPayload,
    RefreshTokenPayload,
    RequestPasswordResetPayload,
    ResendVerificationPayload,
    ResetPasswordPayload,
    ServerInfo,
    SignUpPayload,
    Tenant,
    User,
    VerifyEmailPayload,
)
from schema.directives import Auth, Cost
from schema.enums import Scope, TenantRole
from schema.files import (
    DeleteFilesPayload,
    File,
    FileVersion,
    PurgeFilesPayload,
    RestoreFilesPayload,
    RestoreFileVersionPayload,
    UpdateFilePayload,
)
from schema.jobs import ProcessingJob, RetryProcessingPayload
from schema.keys import ApiKey, CreateApiKeyPayload, RevokeApiKeyPayload
from schema.members import (
    AcceptInvitationPayload,
    AuditEvent,
    InviteMemberPayload,
    RemoveMemberPayload,
    UpdateMemberPayload,
    UpdateTenantPayload,
)
from schema.node import Node
from schema.pagination import Connection
from schema.queries import SqlResult
from schema.saving import SaveResultPayload
from schema.scalars import SCALARS
from schema.shares import CreateShareLinkPayload, RevokeShareLinkPayload, SharedFile, ShareLink
from schema.uploads import AbortUploadPayload, CreateUploadPayload, Upload

READ = Auth(scope=Scope.FILES_READ)
WRITE = Auth(scope=Scope.FILES_WRITE)
SHARE = Auth(scope=Scope.FILES_SHARE)
QUERY = Auth(scope=Scope.FILES_QUERY)
ADMIN = Auth(scope=Scope.TENANT_ADMIN, role=TenantRole.ADMIN)


@strawberry.type(description="What can be read.")
class Query:
    viewer: User | None = strawberry.field(
        resolver=viewer, description="The signed-in user, null for a guest: the one field a client asks first."
    )
    node: Node | None = strawberry.field(
        resolver=node,
        description="Any object by its id; null if it does not exist or is not the viewer's to see.",
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=nodes,
        description="At most 100 at once, in the order of `ids`.",
        directives=[Cost(list_size=100, sized_by="ids")],
    )
    tenant: Tenant | None = strawberry.field(
        resolver=tenant,
        description="One of the viewer's tenants; default: the token's.",
        directives=[Auth()],
    )
    files: Connection[File] = strawberry.field(
        resolver=list_files,
        description="Files of one tenant (default: the token's).",
        directives=[READ, Cost(list_size=50, sized_by="first")],
    )
    file: File | None = strawberry.field(resolver=get_file, description="One file by id.", directives=[READ])
    upload: Upload | None = strawberry.field(resolver=get_upload, description="One transfer by id.", directives=[WRITE])
    uploads: list[Upload] = strawberry.field(
        resolver=list_uploads,
        description="The viewer's own transfers, newest first: what to resume.",
        directives=[WRITE, Cost(list_size=20, sized_by="first")],
    )
    api_keys: Connection[ApiKey] = strawberry.field(
        resolver=list_api_keys,
        description="The viewer's own API keys, newest first.",
        directives=[Auth(), Cost(list_size=20, sized_by="first")],
    )
    audit_events: Connection[AuditEvent] = strawberry.field(
        resolver=audit_events,
        description="What was done in the token's tenant, newest first: members, roles, keys, limits.",
        directives=[ADMIN, Cost(list_size=20, sized_by="first")],
    )
    security_events: Connection[AuditEvent] = strawberry.field(
        resolver=security_events,
        description="What was done with the viewer's own account, newest first: log-ins, wrong ones too, passwords.",
        directives=[Auth(), Cost(list_size=20, sized_by="first")],
    )
    shared_file: SharedFile | None = strawberry.field(
        resolver=shared_file,
        description="For guests: what is behind a share link's token.",
        directives=[Cost(weight=5)],
    )
    select: SqlResult = strawberry.field(
        resolver=select,
        description="SQL over one stored CSV, JSON or Parquet file.",
        directives=[QUERY, Cost(weight=100)],
    )
    server_info: ServerInfo = strawberry.field(
        resolver=server_info, description="Public facts a client needs before anyone signs in."
    )


@strawberry.type(description="What can be changed. Root fields run one after the other.")
class Mutation:
    sign_up: SignUpPayload | None = strawberry.field(
        resolver=sign_up,
        description="Creates an account and a tenant. Answers the same whether or not the email is taken.",
        directives=[Cost(weight=50)],
    )
    verify_email: VerifyEmailPayload | None = strawberry.field(
        resolver=verify_email, description="Redeems the emailed token.", directives=[Cost(weight=10)]
    )
    resend_verification: ResendVerificationPayload | None = strawberry.field(
        resolver=resend_verification,
        description="Always succeeds: does not tell whether the email is known.",
        directives=[Cost(weight=50)],
    )
    log_in: LogInPayload | None = strawberry.field(
        resolver=log_in,
        description="Email and password for a session. Same answer and same time for unknown emails.",
        directives=[Cost(weight=50)],
    )
    refresh_token: RefreshTokenPayload | None = strawberry.field(
        resolver=refresh_token,
        description=(
            "Swaps a refresh token for a new session, optionally in another tenant; "
            "reuse of an old one ends the session."
        ),
        directives=[Cost(weight=10)],
    )
    log_out: LogOutPayload | None = strawberry.field(
        resolver=log_out, description="Ends one session or all.", directives=[Cost(weight=10)]
    )
    request_password_reset: RequestPasswordResetPayload | None = strawberry.field(
        resolver=request_password_reset,
        description="Always succeeds: does not tell whether the email is known.",
        directives=[Cost(weight=50)],
    )
    reset_password: ResetPasswordPayload | None = strawberry.field(
        resolver=reset_password,
        description="Redeems the emailed token, revokes all sessions.",
        directives=[Cost(weight=50)],
    )
    invite_member: InviteMemberPayload | None = strawberry.field(
        resolver=invite_member,
        description="Asks somebody into the token's tenant, by a letter.",
        directives=[ADMIN, Cost(weight=50)],
    )
    accept_invitation: AcceptInvitationPayload | None = strawberry.field(
        resolver=accept_invitation,
        description="Joins a tenant with the account that one has; without one, `signUp` takes the token.",
        directives=[Auth(), Cost(weight=10)],
    )
    update_member: UpdateMemberPayload | None = strawberry.field(
        resolver=update_member,
        description="Gives a member another role, none above one's own.",
        directives=[ADMIN, Cost(weight=10)],
    )
    remove_member: RemoveMemberPayload | None = strawberry.field(
        resolver=remove_member,
        description="Puts a member out, for which one must be an admin, or leaves oneself. Files stay the tenant's.",
        directives=[Auth(), Cost(weight=10)],
    )
    update_tenant: UpdateTenantPayload | None = strawberry.field(
        resolver=update_tenant,
        description="Changes the token's tenant: its name, and what may be uploaded from then on.",
        directives=[ADMIN, Cost(weight=10)],
    )
    create_api_key: CreateApiKeyPayload | None = strawberry.field(
        resolver=create_api_key,
        description="Makes a key for a program, narrower than oneself. Needs a log-in: a key makes no keys.",
        directives=[Auth(), Cost(weight=10)],
    )
    revoke_api_key: RevokeApiKeyPayload | None = strawberry.field(
        resolver=revoke_api_key, description="Ends a key.", directives=[Auth(), Cost(weight=10)]
    )
    create_upload: CreateUploadPayload | None = strawberry.field(
        resolver=create_upload,
        description="Reserves a transfer; the bytes then go to `upload.url` by tus.",
        directives=[WRITE, Cost(weight=10)],
    )
    abort_upload: AbortUploadPayload | None = strawberry.field(
        resolver=abort_upload,
        description="Drops the transfer and its bytes; of a finished one, the file goes into the trash.",
        directives=[WRITE, Cost(weight=10)],
    )
    update_file: UpdateFilePayload | None = strawberry.field(
        resolver=update_file,
        description="Renames, relinks, changes visibility, expiry or metadata.",
        directives=[WRITE, Cost(weight=10)],
    )
    delete_files: DeleteFilesPayload | None = strawberry.field(
        resolver=delete_files, description="Into the trash.", directives=[WRITE, Cost(weight=10)]
    )
    restore_files: RestoreFilesPayload | None = strawberry.field(
        resolver=restore_files, description="Out of the trash.", directives=[WRITE, Cost(weight=10)]
    )
    retry_processing: RetryProcessingPayload | None = strawberry.field(
        resolver=retry_processing, description="Queues failed jobs again.", directives=[WRITE, Cost(weight=10)]
    )
    purge_files: PurgeFilesPayload | None = strawberry.field(
        resolver=purge_files,
        description="Out of the store, for good.",
        directives=[Auth(scope=Scope.FILES_WRITE, role=TenantRole.ADMIN), Cost(weight=10)],
    )
    restore_file_version: RestoreFileVersionPayload | None = strawberry.field(
        resolver=restore_file_version,
        description="Makes an older version the current one, as a new version.",
        directives=[WRITE, Cost(weight=10)],
    )
    create_share_link: CreateShareLinkPayload | None = strawberry.field(
        resolver=create_share_link, description="A link for guests.", directives=[SHARE, Cost(weight=10)]
    )
    revoke_share_link: RevokeShareLinkPayload | None = strawberry.field(
        resolver=revoke_share_link, description="Ends a link at once.", directives=[SHARE, Cost(weight=10)]
    )
    save_result: SaveResultPayload | None = strawberry.field(
        resolver=save_result,
        description="SQL over one file, its result kept as a new file: that needs FILES_WRITE too.",
        directives=[QUERY, Cost(weight=100)],
    )


@strawberry.type(description="What can be watched, over WebSocket (graphql-transport-ws) or SSE.")
class Subscription:
    upload_progress = strawberry.subscription(
        resolver=upload_progress,
        description="First frame is the present state, then at most 4 a second; completes when the upload does.",
        directives=[WRITE],
    )
    file_events = strawberry.subscription(
        resolver=file_events, description="Changes to files that the viewer may see.", directives=[READ]
    )
    select_rows = strawberry.subscription(
        resolver=select_rows,
        description="SQL over one file, streamed in batches of rows.",
        directives=[QUERY, Cost(weight=100)],
    )


def build_schema() -> strawberry.Schema:
    """Make the schema; nothing is made at import."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[File, Upload, Tenant, User, ApiKey, ShareLink, ProcessingJob, FileVersion],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def print_sdl(schema: strawberry.Schema) -> str:
    """Write the schema as `schema/schema.graphql` holds it."""
    return schema.as_str().strip() + "\n"


def directives_of(field: Any) -> list[object]:
    """Give the schema directives of a field of the built schema."""
    definition = field.extensions.get("strawberry-definition")
    return [] if definition is None else list(definition.directives)
