"""
Where the links in letters lead: two pages of plain HTML, without a script, that need nothing of another origin.

They are for whoever has only a mailbox and a browser; programs redeem the same tokens over GraphQL.
"""

from html import escape
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from domain.errors import LighterageError
from domain.problem import retry_after_seconds
from domain.user import User
from rest.problems import STATUS_BY_CODE

FORM_BYTES_MAX = 8192
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # The address holds a secret.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Registration(Protocol):
    async def verify_email(self, token: str, *, client: str) -> User: ...
    async def reset_password(self, token: str, new_password: str, *, client: str) -> object: ...


def account_routes(registration: Registration) -> list[Route]:
    """Make the routes of the pages."""

    async def verify(request: Request) -> Response:
        try:
            await registration.verify_email(request.query_params.get("token", ""), client=_client(request))
        except LighterageError as error:
            return _fault("Not confirmed", error)
        return _page("Confirmed", "<p>Your e-mail address is confirmed. You can log in now.</p>")

    async def ask(request: Request) -> Response:
        return _page("Set a new password", _form(request.query_params.get("token", "")))

    async def reset(request: Request) -> Response:
        form = await _read_form(request)
        if form is None:
            return _page("Not changed", "<p>This is no form of ours.</p>", status=400)
        token = form.get("token", [""])[0]
        try:
            await registration.reset_password(token, form.get("password", [""])[0], client=_client(request))
        except LighterageError as error:
            return _fault("Not changed", error, more=_form(token) if error.code == "invalid_value" else "")
        return _page("Changed", "<p>Your password is changed, and all log-ins were ended. You can log in now.</p>")

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


async def _read_form(request: Request) -> dict[str, list[str]] | None:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            return None
    try:
        return parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return None


def _fault(title: str, error: LighterageError, *, more: str = "") -> Response:
    text = f"<p>{escape(error.message.capitalize())}.</p>{more}"
    seconds = retry_after_seconds(error)
    # To a browser a token that is no good is no matter of logging in: 401 would have to name a scheme.
    status = 400 if STATUS_BY_CODE[error.code] == 401 else STATUS_BY_CODE[error.code]
    return _page(title, text, status=status, headers={} if seconds is None else {"Retry-After": str(seconds)})


def _page(title: str, text: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><h1>{title}</h1>{text}</html>\n"
    )
    return HTMLResponse(html, status, {**_HEADERS, **(headers or {})})


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"
