"""
Swagger UI, the page to read and try the REST interface on: files that `make web` laid out, and nothing of another
origin. It reads `/openapi.json`.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rest.built import file_response, not_built, page_response

_NOT_BUILT = not_built(
    "Swagger UI", meanwhile='<p>The description itself is at <a href="/openapi.json">/openapi.json</a>.</p>'
)


def swagger_routes(dist: Path) -> list[Route]:
    """
    Make the routes of `/swagger`.

    Args:
        dist: Where `make web` puts the page; looked into at each request, so it may be built later.
    """

    async def index(_request: Request) -> Response:
        return page_response(dist / "index.html", not_built=_NOT_BUILT)

    async def file(request: Request) -> Response:
        return file_response(dist, request.path_params["name"], is_kept=False)

    async def docs(_request: Request) -> Response:
        return RedirectResponse("/swagger", status_code=302)

    return [
        Route("/swagger", index, methods=["GET"]),
        Route("/swagger/", index, methods=["GET"]),
        Route("/swagger/{name}", file, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
    ]
