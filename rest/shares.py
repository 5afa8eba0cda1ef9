"""
Where share links lead: what is behind one as JSON, and a shared file's bytes. No log-in; the address holds the right.

A browser that is sent here gets the page for everybody; where that was not built, one without a script: a button, and a
field for the password where there is one.
"""

from collections.abc import Callable
from html import escape
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.errors import LighterageError, LinkPasswordRequired
from rest.bodies import read_json, take, text
from rest.callers import client_of
from rest.contents import answer_content
from rest.pages import fault_page, is_form, page, read_form
from services.files import Content
from services.shares import FileRequest, SharedFile

_NO_STORE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",  # the address holds a secret
    "x-content-type-options": "nosniff",
}
_UNLOCK_FORM = (
    '<form method="post" action="">'
    '<label>Password <input type="password" name="password" autocomplete="off" required></label> '
    "<button>Open</button></form>"
)


class Shares(Protocol):
    async def open(self, token: str, password: str | None, *, client: str) -> SharedFile | FileRequest: ...
    async def content(
        self, token: str, *, visit: str | None, password: str | None, client: str, counts: bool
    ) -> Content: ...


def share_routes(shares: Shares, *, client_page: Callable[[], Response | None] = lambda: None) -> list[Route]:
    """
    Make the routes of share links.

    Args:
        client_page: Gives the page for everybody, which asks for the rest itself; None where there is none.
    """

    async def show(request: Request) -> Response:
        if not _is_browser(request):
            return await tell(request, _password_of(request))
        if (built := client_page()) is not None:
            return built
        try:
            opened = await shares.open(_token_of(request), None, client=client_of(request))
        except LinkPasswordRequired:
            return page("A shared file", _UNLOCK_FORM)
        except LighterageError as error:
            return fault_page("Nothing here", error)
        return _page_of(request, opened)

    async def unlock(request: Request) -> Response:
        if not is_form(request):
            given = take(await read_json(request), {"password": text})
            return await tell(request, given.get("password"))
        form = await read_form(request) or {}
        password = form.get("password", [""])[0]
        try:
            opened = await shares.open(_token_of(request), password, client=client_of(request))
        except LighterageError as error:
            more = _UNLOCK_FORM if isinstance(error, LinkPasswordRequired) else ""
            return fault_page("Not opened", error, more=more)
        if isinstance(opened, SharedFile) and opened.url is not None:
            return RedirectResponse(_reached(request, opened.url), 303, _NO_STORE)
        return _page_of(request, opened)

    async def tell(request: Request, password: str | None) -> Response:
        opened = await shares.open(_token_of(request), password, client=client_of(request))
        describe = _describe_file if isinstance(opened, SharedFile) else _describe_request
        document = describe(request, opened)  # type: ignore[arg-type]  # the union's two halves, told apart above
        return Response(orjson.dumps(document), 200, _NO_STORE, "application/json")

    async def content(request: Request) -> Response:
        found = await shares.content(
            _token_of(request),
            visit=request.query_params.get("visit"),
            password=_password_of(request),
            client=client_of(request),
            counts=request.method == "GET",
        )
        answer = await answer_content(request, found)
        answer.headers["referrer-policy"] = "no-referrer"
        return answer

    return [
        Route("/s/{token}", show, methods=["GET", "HEAD"]),
        Route("/s/{token}", unlock, methods=["POST"]),
        Route("/s/{token}/content", content, methods=["GET", "HEAD"]),
    ]


def _token_of(request: Request) -> str:
    token: str = request.path_params["token"]
    return token


def _password_of(request: Request) -> str | None:
    return request.headers.get("share-password")


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _reached(request: Request, url: str) -> str:
    """Give one of our addresses as the client reaches it."""
    public_url: str | None = request.scope.get("lighterage.public_url")
    return url if public_url is None else public_url + url[url.index("/", url.index("://") + 3) :]


def _describe_file(request: Request, shared: SharedFile) -> dict[str, object]:
    file = shared.file
    return {
        "kind": "download",
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "sha256": file.sha256,
        "expires_at": shared.link.expires_at,
        "download_url": None if shared.url is None else _reached(request, shared.url),
    }


def _describe_request(request: Request, wanted: FileRequest) -> dict[str, object]:
    link = wanted.link
    return {
        "kind": "upload",
        "uploads_url": _reached(request, wanted.uploads_url),
        "headers": {"Authorization": f"Bearer {wanted.token}"},
        "headers_expire_at": wanted.token_expires_at,
        "size_max": wanted.length_max,
        "content_types": wanted.content_types,
        "uses_left": None if link.max_uses is None else link.max_uses - link.use_count,
        "expires_at": link.expires_at,
    }


def _page_of(request: Request, opened: SharedFile | FileRequest) -> Response:
    if isinstance(opened, FileRequest):
        return page("Upload files", "<p>Open this address in the web client, or upload with any tus client.</p>")
    file = opened.file
    told = f"<p>{escape(file.name)}, {file.size:,} bytes</p>"
    if opened.url is None:
        return page("A shared file", f"{told}<p>It cannot be read yet. Try again in a moment.</p>")
    address = escape(_reached(request, opened.url))
    return page("A shared file", f'{told}<p><a href="{address}" download>Download</a></p>')
