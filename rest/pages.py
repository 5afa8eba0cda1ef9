"""Pages of plain HTML for whoever follows a link with nothing but a browser: no script, nothing of another origin."""

from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from domain.errors import LighterageError
from domain.problem import retry_after_seconds
from rest.problems import STATUS_BY_CODE

FORM_BYTES_MAX = 8192
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # The address holds a secret.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """Read what a page's form sent; None where it is no form, or larger than any of ours."""
    if not is_form(request):
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


def fault_page(title: str, error: LighterageError, *, more: str = "") -> Response:
    text = f"<p>{escape(error.message.capitalize())}.</p>{more}"
    seconds = retry_after_seconds(error)
    # To a browser a token that is no good is no matter of logging in: 401 would have to name a scheme.
    status = 400 if STATUS_BY_CODE[error.code] == 401 else STATUS_BY_CODE[error.code]
    return page(title, text, status=status, headers={} if seconds is None else {"Retry-After": str(seconds)})


def page(title: str, text: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><h1>{title}</h1>{text}</html>\n"
    )
    return HTMLResponse(html, status, {**_HEADERS, **(headers or {})})
