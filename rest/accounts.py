"""
Where the links in letters lead: two pages of plain HTML, without a script, that need nothing of another origin.

They are for whoever has only a mailbox and a browser; programs redeem the same tokens over GraphQL.
"""

from html import escape
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import LighterageError
from domain.user import User
from rest.callers import client_of
from rest.pages import fault_page, page, read_form


class Registration(Protocol):
    async def verify_email(self, token: str, *, client: str) -> User: ...
    async def reset_password(self, token: str, new_password: str, *, client: str) -> object: ...


def account_routes(registration: Registration) -> list[Route]:
    """Make the routes of the pages."""

    async def verify(request: Request) -> Response:
        try:
            await registration.verify_email(request.query_params.get("token", ""), client=client_of(request))
        except LighterageError as error:
            return fault_page("Not confirmed", error)
        return page("Confirmed", "<p>Your e-mail address is confirmed. You can log in now.</p>")

    async def ask(request: Request) -> Response:
        return page("Set a new password", _form(request.query_params.get("token", "")))

    async def reset(request: Request) -> Response:
        form = await read_form(request)
        if form is None:
            return page("Not changed", "<p>This is no form of ours.</p>", status=400)
        token = form.get("token", [""])[0]
        try:
            await registration.reset_password(token, form.get("password", [""])[0], client=client_of(request))
        except LighterageError as error:
            return fault_page("Not changed", error, more=_form(token) if error.code == "invalid_value" else "")
        return page("Changed", "<p>Your password is changed, and all log-ins were ended. You can log in now.</p>")

    return [
        Route("/account/verify", verify, methods=["GET"]),
        Route("/account/reset", ask, methods=["GET"]),
        Route("/account/reset", reset, methods=["POST"]),
    ]


def _form(token: str) -> str:
    return (
        '<form method="post" action="/account/reset">'
        f'<input type="hidden" name="token" value="{escape(token)}">'
        '<label>New password <input type="password" name="password" autocomplete="new-password" required></label> '
        "<button>Set</button></form>"
    )
