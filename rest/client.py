"""The page for everybody, at the root: upload, find, share and query files in a browser. Built by `make web`."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rest.built import file_response, not_built, page_response, policy_of

POLICY = policy_of()
"""Nothing inline, nothing from elsewhere."""

_NOT_BUILT = not_built(
    "The page",
    meanwhile="""<p>Until then any client will do:</p>
<pre>curl -s localhost:8000/graphql -H 'Content-Type: application/json' \\
  -d '{"query": "{ __typename }"}'</pre>""",
)


def client_page(dist: Path | None) -> Response | None:
    """Give the page, as links for guests lead to it; None where it was not built, or is not served."""
    if dist is None or not (dist / "index.html").is_file():
        return None
    return page_response(dist / "index.html", not_built=_NOT_BUILT, policy=POLICY)


def client_routes(dist: Path) -> list[Route]:
    """
    Make the routes of `/`.

    Args:
        dist: Where `make web` puts the page; looked into at each request, so it may be built later.
    """

    async def index(_request: Request) -> Response:
        return page_response(dist / "index.html", not_built=_NOT_BUILT, policy=POLICY)

    async def asset(request: Request) -> Response:
        accepted = request.headers.get("accept-encoding", "")
        name: str = request.path_params["name"]
        return file_response(dist / "assets", name, is_kept=True, policy=POLICY, accept_encoding=accepted)

    return [Route("/", index, methods=["GET"]), Route("/assets/{name}", asset, methods=["GET"])]
