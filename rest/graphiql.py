"""
GraphiQL, the page to try the GraphQL API on: files that `make web` built, served with their own security policy.

Nothing here knows a service. Where the page was not built, another page says how to build it.
"""

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

_DIRECTIVES = {
    "default-src": "'self'",
    # The editor writes its colours and the dialogs their scroll locks into <style> elements at run time.
    "style-src": "'self' 'unsafe-inline'",
    # The stylesheet carries the page's fonts and a few pictures as data: URLs.
    "font-src": "'self' data:",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY = "; ".join(f"{name} {sources}" for name, sources in _DIRECTIVES.items())
"""What the page needs, and nothing else: scripts, workers, requests and WebSockets of its own origin only."""

_SECURITY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_INDEX = {**_SECURITY, "cache-control": "no-cache"}
# An asset's name holds a hash of what is in it, so it can be kept for good.
_ASSET = {**_SECURITY, "cache-control": "public, max-age=31536000, immutable"}
_ASSET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
# What browsers insist on and the machine's own table of media types may lack.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ttf": "font/ttf"}

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>GraphiQL is not built yet · Lighterage</title>
<style>
body { max-width: 40rem; margin: 4rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }
pre { padding: .75rem 1rem; border: 1px solid; border-radius: 6px; overflow: auto }
</style>
<h1>GraphiQL is not built yet</h1>
<p>The API is running. Only this page is missing: it is built with Node.js 20 or newer and npm, and one of them
was not there. Install them, then</p>
<pre>make web</pre>
<p>and load this page again; the server need not be restarted. The container image has the page in it.</p>
<p>Until then any client will do:</p>
<pre>curl -s localhost:8000/graphql -H 'Content-Type: application/json' \\
  -d '{"query": "{ __typename }"}'</pre>
</html>
"""


def graphiql_routes(dist: Path) -> list[Route]:
    """
    Make the routes of `/graphiql`; until there is a page for everybody, the root leads there.

    Args:
        dist: Where `make web` puts the page; looked into at each request, so it may be built later.
    """

    async def index(_request: Request) -> Response:
        page = dist / "index.html"
        if not page.is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503, headers=_INDEX)
        return FileResponse(page, media_type="text/html", headers=_INDEX)

    async def asset(request: Request) -> Response:
        name: str = request.path_params["name"]
        path = dist / "assets" / name
        if not _ASSET_NAME.fullmatch(name) or not path.is_file():
            return Response("there is no such file\n", status_code=404, media_type="text/plain", headers=_INDEX)
        return FileResponse(path, media_type=_MEDIA_TYPES.get(path.suffix), headers=_ASSET)

    async def front(_request: Request) -> Response:
        return RedirectResponse("/graphiql", status_code=302)

    return [
        Route("/", front, methods=["GET"]),
        Route("/graphiql", index, methods=["GET"]),
        Route("/graphiql/", index, methods=["GET"]),
        Route("/graphiql/assets/{name}", asset, methods=["GET"]),
    ]
