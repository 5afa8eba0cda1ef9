"""
Accounts over REST: sign-up, log-in, log-out, and the two other shapes in which log-ins are asked for.

`/api/v1/login` takes an e-mail address, `/api/v1/auth` a user name, `/api/token/` answers as Django's JSON web tokens
do; behind all three is one log-in.
"""

from typing import Annotated, Protocol

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import InvalidValue
from domain.principal import Principal
from domain.user import User
from rest.callers import client_of, principal_of
from rest.documents import (
    EXAMPLE_ACCOUNT,
    EXAMPLE_PAIR,
    EXAMPLE_TOKENS,
    SignUpAnswer,
    TokenPair,
    Tokens,
    Verified,
    account_of,
    json_response,
    tokens_of,
)
from rest.operations import Access, Answer, Given, GivenJson, Operation, json_answer, json_body
from rest.parsing import read_model, read_query
from services.accounts import IssuedSession
from services.registration import NewAccount, SignedUp

Text = Annotated[str, Field(min_length=1, max_length=4096)]
_EXAMPLE_LOG_IN = {"email": "anna@example.org", "password": "correct horse battery"}
_EXAMPLE_NAME = {"username": "john1", "password": "test"}
_LOG_IN_FAULTS = ("invalid_credentials", "account_disabled", "email_not_verified", "rate_limited")
_GROUP = "Accounts"
_TOKENS = json_answer(200, "Logged in.", Tokens, EXAMPLE_TOKENS)


class Accounts(Protocol):
    async def log_in(self, identifier: str, password: str, *, client: str) -> IssuedSession: ...
    async def refresh(self, refresh_token: str, *, client: str) -> IssuedSession: ...
    async def log_out(self, refresh_token: str, *, everywhere: bool = False) -> None: ...
    async def end_own_session(self, principal: Principal, *, everywhere: bool = False) -> None: ...


class Registration(Protocol):
    async def sign_up(self, new: NewAccount, *, client: str) -> SignedUp: ...
    async def verify_email(self, token: str, *, client: str) -> User: ...
    async def resend_verification(self, email: str, *, client: str) -> None: ...
    async def request_password_reset(self, email: str, *, client: str) -> None: ...
    async def reset_password(self, token: str, new_password: str, *, client: str) -> IssuedSession: ...


class SignUpBody(GivenJson):
    email: Text
    password: Text
    name: Text | None = None
    tenant_name: Text | None = None
    invite_token: Text | None = None


class LogInBody(GivenJson):
    """`email` or `username`: either may be in either."""

    email: Text | None = None
    username: Text | None = None
    password: Text


class NamedLogInBody(GivenJson):
    username: Text
    password: Text


class RefreshBody(GivenJson):
    refresh_token: Text


class PairRefreshBody(GivenJson):
    refresh: Text


class LogOutBody(GivenJson):
    """Without a refresh token, the log-in that the request itself comes with is ended."""

    refresh_token: Text | None = None
    everywhere: bool = False


class EmailBody(GivenJson):
    email: Text


class NewPasswordBody(GivenJson):
    token: Text
    new_password: Text


class VerifyQuery(Given):
    token: Annotated[str, Field(description="What the letter brought.", max_length=4096, examples=["a2V5…"])]


def registration_operations(registration: Registration) -> list[Operation]:
    """Make the operations of whoever has no log-in yet, or lost it."""

    async def sign_up(request: Request) -> Response:
        given = await read_model(request, SignUpBody)
        new = NewAccount(
            given.email,
            given.password,
            name=given.name,
            tenant_name=given.tenant_name,
            invite_token=given.invite_token,
        )
        done = await registration.sign_up(new, client=client_of(request))
        user = None if done.user is None else account_of(done.user)
        answer: SignUpAnswer = {"user": user, "verification_sent": done.verification_sent}
        return json_response(answer, 202 if done.verification_sent else 201)

    async def verify(request: Request) -> Response:
        given = read_query(request, VerifyQuery)
        user = await registration.verify_email(given.token, client=client_of(request))
        answer: Verified = {"verified": True, "email": user.email}
        return json_response(answer)

    async def resend(request: Request) -> Response:
        given = await read_model(request, EmailBody)
        await registration.resend_verification(given.email, client=client_of(request))
        return Response(status_code=202)

    async def forgot(request: Request) -> Response:
        given = await read_model(request, EmailBody)
        await registration.request_password_reset(given.email, client=client_of(request))
        return Response(status_code=202)

    async def reset(request: Request) -> Response:
        given = await read_model(request, NewPasswordBody)
        client = client_of(request)
        return json_response(
            tokens_of(await registration.reset_password(given.token, given.new_password, client=client))
        )

    posted = Answer(202, "If there is such an account, a letter is on its way.")
    return [
        Operation(
            "POST",
            "/api/v1/signup",
            "signUp",
            "Make an account",
            _GROUP,
            sign_up,
            (
                json_answer(
                    201,
                    "The account is there: log in.",
                    SignUpAnswer,
                    {"user": EXAMPLE_ACCOUNT, "verification_sent": False},
                ),
                json_answer(
                    202, "A letter was sent: confirm.", SignUpAnswer, {"user": None, "verification_sent": True}
                ),
            ),
            access=Access.ANYBODY,
            body=json_body(SignUpBody, usual=_EXAMPLE_LOG_IN),
            faults=("sign_up_disabled", "rate_limited"),
        ),
        Operation(
            "GET",
            "/api/v1/verify",
            "verifyEmail",
            "Confirm an e-mail address",
            _GROUP,
            verify,
            (json_answer(200, "Confirmed.", Verified, {"verified": True, "email": "anna@example.org"}),),
            access=Access.ANYBODY,
            query=VerifyQuery,
            faults=("rate_limited",),
        ),
        Operation(
            "POST",
            "/api/v1/verify/resend",
            "resendVerification",
            "Have the letter sent again",
            _GROUP,
            resend,
            (posted,),
            access=Access.ANYBODY,
            body=json_body(EmailBody, usual={"email": "anna@example.org"}),
            faults=("rate_limited",),
        ),
        Operation(
            "POST",
            "/api/v1/password/forgot",
            "forgotPassword",
            "Ask for a letter that lets you set a new password",
            _GROUP,
            forgot,
            (posted,),
            access=Access.ANYBODY,
            body=json_body(EmailBody, usual={"email": "anna@example.org"}),
            faults=("rate_limited",),
        ),
        Operation(
            "POST",
            "/api/v1/password/reset",
            "resetPassword",
            "Set a new password with what the letter brought",
            _GROUP,
            reset,
            (_TOKENS,),
            access=Access.ANYBODY,
            body=json_body(NewPasswordBody, usual={"token": "a2V5…", "new_password": "correct horse battery"}),
            faults=("rate_limited",),
        ),
    ]


def session_operations(accounts: Accounts) -> list[Operation]:
    """Make the operations of log-ins."""

    async def log_in(request: Request) -> Response:
        given = await read_model(request, LogInBody)
        identifier = given.email or given.username
        if identifier is None:
            raise InvalidValue("email or username is missing", path=("email",), reason="required")
        return json_response(tokens_of(await accounts.log_in(identifier, given.password, client=client_of(request))))

    async def authenticate(request: Request) -> Response:
        given = await read_model(request, NamedLogInBody)
        return json_response(
            tokens_of(await accounts.log_in(given.username, given.password, client=client_of(request)))
        )

    async def refresh(request: Request) -> Response:
        given = await read_model(request, RefreshBody)
        return json_response(tokens_of(await accounts.refresh(given.refresh_token, client=client_of(request))))

    async def log_out(request: Request) -> Response:
        given = await read_model(request, LogOutBody)
        if given.refresh_token is not None:
            await accounts.log_out(given.refresh_token, everywhere=given.everywhere)
        else:
            await accounts.end_own_session(principal_of(request), everywhere=given.everywhere)
        return Response(status_code=204)

    async def pair(request: Request) -> Response:
        given = await read_model(request, NamedLogInBody)
        return json_response(_pair(await accounts.log_in(given.username, given.password, client=client_of(request))))

    async def refresh_pair(request: Request) -> Response:
        given = await read_model(request, PairRefreshBody)
        return json_response(_pair(await accounts.refresh(given.refresh, client=client_of(request))))

    pair_answer = json_answer(200, "Both tokens.", TokenPair, EXAMPLE_PAIR)
    return [
        Operation(
            "POST",
            "/api/v1/login",
            "logIn",
            "Log in",
            _GROUP,
            log_in,
            (_TOKENS,),
            access=Access.ANYBODY,
            body=json_body(LogInBody, usual=_EXAMPLE_LOG_IN),
            faults=_LOG_IN_FAULTS,
        ),
        Operation(
            "POST",
            "/api/v1/refresh",
            "refresh",
            "Stay logged in",
            _GROUP,
            refresh,
            (_TOKENS,),
            access=Access.ANYBODY,
            notes="A refresh token is good for one use; one that comes twice ends the whole log-in.",
            body=json_body(RefreshBody, usual={"refresh_token": EXAMPLE_TOKENS["refresh_token"]}),
            faults=("rate_limited",),
        ),
        Operation(
            "POST",
            "/api/v1/logout",
            "logOut",
            "Log out",
            _GROUP,
            log_out,
            (Answer(204, "Its tokens are void."),),
            access=Access.OPTIONAL,
            body=json_body(LogOutBody, usual={}),
            faults=("permission_denied",),
        ),
        Operation(
            "POST",
            "/api/v1/auth",
            "authenticate",
            "Log in by user name",
            _GROUP,
            authenticate,
            (_TOKENS,),
            access=Access.ANYBODY,
            body=json_body(NamedLogInBody, usual=_EXAMPLE_NAME),
            faults=_LOG_IN_FAULTS,
        ),
        Operation(
            "POST",
            "/api/token/",
            "getTokenPair",
            "Log in, answered with `access` and `refresh`",
            _GROUP,
            pair,
            (pair_answer,),
            access=Access.ANYBODY,
            notes="With and without the last slash.",
            body=json_body(NamedLogInBody, usual=_EXAMPLE_NAME),
            faults=_LOG_IN_FAULTS,
            aliases=("/api/token",),
        ),
        Operation(
            "POST",
            "/api/token/refresh/",
            "refreshTokenPair",
            "Stay logged in, answered with `access` and `refresh`",
            _GROUP,
            refresh_pair,
            (pair_answer,),
            access=Access.ANYBODY,
            notes="With and without the last slash. The refresh token is a new one each time.",
            body=json_body(PairRefreshBody, usual={"refresh": EXAMPLE_PAIR["refresh"]}),
            faults=("rate_limited",),
            aliases=("/api/token/refresh",),
        ),
    ]


def _pair(issued: IssuedSession) -> TokenPair:
    return {"refresh": issued.refresh_token, "access": issued.access_token}
