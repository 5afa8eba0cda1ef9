"""Who is asking, log-ins and tenants."""

from typing import Annotated

import strawberry

from domain.errors import InvalidValue, LighterageError
from domain.ids import TenantId
from resolvers.context import Info
from resolvers.ids import parse_tenant_id
from schema.accounts import (
    LogInInput,
    LogInPayload,
    LogOutInput,
    LogOutPayload,
    RefreshTokenInput,
    RefreshTokenPayload,
    RequestPasswordResetInput,
    RequestPasswordResetPayload,
    ResendVerificationInput,
    ResendVerificationPayload,
    ResetPasswordInput,
    ResetPasswordPayload,
    ServerInfo,
    Session,
    SignUpInput,
    SignUpPayload,
    Tenant,
    User,
    VerifyEmailInput,
    VerifyEmailPayload,
)
from schema.errors import refusal
from schema.scalars import URL, BigInt
from services.accounts import IssuedSession
from services.registration import NewAccount


async def viewer(info: Info) -> User | None:
    record = await info.context.services.accounts.viewer(info.context.principal)
    return None if record is None else User.from_domain(record)


def server_info(info: Info) -> ServerInfo:
    facts = info.context.facts
    return ServerInfo(
        version=facts.version,
        tus_url=URL(info.context.as_reached(facts.tus_url)),
        max_file_size=BigInt(info.context.file_size_max),
        sign_up_enabled=facts.sign_up_enabled,
    )


async def tenant(
    info: Info,
    id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
    slug: Annotated[str | None, strawberry.argument(description="Its slug, instead of the id.")] = None,
) -> Tenant | None:
    if id is not None and slug is not None:
        raise InvalidValue("give id or slug, not both", path=("slug",))
    tenant_id = None if id is None else parse_tenant_id(id)
    return Tenant.from_domain(await info.context.services.tenants.get(info.context.principal, tenant_id, slug=slug))


async def sign_up(
    info: Info, input: Annotated[SignUpInput, strawberry.argument(description="Who signs up.")]
) -> SignUpPayload | None:
    new = NewAccount(
        input.email,
        input.password,
        name=input.name,
        tenant_name=input.tenant_name,
        invite_token=input.invite_token,
    )
    try:
        done = await info.context.services.registration.sign_up(new, client=info.context.client)
    except LighterageError as error:
        return SignUpPayload(user_errors=refusal(error))
    user = None if done.user is None else User.from_domain(done.user)
    return SignUpPayload(user=user, verification_sent=done.verification_sent)


async def verify_email(
    info: Info, input: Annotated[VerifyEmailInput, strawberry.argument(description="What the letter brought.")]
) -> VerifyEmailPayload | None:
    try:
        record = await info.context.services.registration.verify_email(input.token, client=info.context.client)
    except LighterageError as error:
        return VerifyEmailPayload(user_errors=refusal(error))
    return VerifyEmailPayload(user=User.from_domain(record))


async def resend_verification(
    info: Info, input: Annotated[ResendVerificationInput, strawberry.argument(description="Who waits for a letter.")]
) -> ResendVerificationPayload | None:
    try:
        await info.context.services.registration.resend_verification(input.email, client=info.context.client)
    except LighterageError as error:
        return ResendVerificationPayload(user_errors=refusal(error))
    return ResendVerificationPayload()


async def request_password_reset(
    info: Info,
    input: Annotated[RequestPasswordResetInput, strawberry.argument(description="Who forgot the password.")],
) -> RequestPasswordResetPayload | None:
    try:
        await info.context.services.registration.request_password_reset(input.email, client=info.context.client)
    except LighterageError as error:
        return RequestPasswordResetPayload(user_errors=refusal(error))
    return RequestPasswordResetPayload()


async def reset_password(
    info: Info, input: Annotated[ResetPasswordInput, strawberry.argument(description="The token and the password.")]
) -> ResetPasswordPayload | None:
    registration = info.context.services.registration
    try:
        issued = await registration.reset_password(input.token, input.new_password, client=info.context.client)
    except LighterageError as error:
        return ResetPasswordPayload(user_errors=refusal(error))
    return ResetPasswordPayload(session=session(issued))


async def log_in(
    info: Info, input: Annotated[LogInInput, strawberry.argument(description="Who logs in.")]
) -> LogInPayload | None:
    try:
        issued = await info.context.services.accounts.log_in(input.email, input.password, client=info.context.client)
    except LighterageError as error:
        return LogInPayload(user_errors=refusal(error))
    return LogInPayload(session=session(issued))


async def refresh_token(
    info: Info, input: Annotated[RefreshTokenInput, strawberry.argument(description="Which session goes on.")]
) -> RefreshTokenPayload | None:
    try:
        tenant_id: TenantId | None = None if input.tenant_id is None else parse_tenant_id(input.tenant_id)
        issued = await info.context.services.accounts.refresh(
            input.refresh_token, client=info.context.client, tenant_id=tenant_id
        )
    except LighterageError as error:
        return RefreshTokenPayload(user_errors=refusal(error))
    return RefreshTokenPayload(session=session(issued))


async def log_out(
    info: Info, input: Annotated[LogOutInput, strawberry.argument(description="Which session ends.")]
) -> LogOutPayload | None:
    try:
        await info.context.services.accounts.log_out(input.refresh_token, everywhere=bool(input.everywhere))
    except LighterageError as error:
        return LogOutPayload(user_errors=refusal(error))
    return LogOutPayload()


def session(issued: IssuedSession) -> Session:
    return Session(
        access_token=issued.access_token,
        expires_at=issued.expires_at,
        refresh_token=issued.refresh_token,
        refresh_expires_at=issued.refresh_expires_at,
        viewer=User.from_domain(issued.user),
        tenant=None if issued.tenant is None else Tenant.from_domain(issued.tenant),
    )
