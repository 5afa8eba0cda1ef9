"""
GraphiQL, the page to try the GraphQL API on: files that `make web` built, served with their own security policy.

Nothing here knows a service. Where the page was not built, another page says how to build it.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rest.built import file_response, not_built, page_response

_NOT_BUILT = not_built(
    "GraphiQL",
    meanwhile="""<p>Until then any client will do:</p>
<pre>curl -s localhost:8000/graphql -H 'Content-Type: application/json' \\
  -d '{"query": "{ __typename }"}'</pre>""",
)


def graphiql_routes(dist: Path) -> list[Route]:
    """
    Make the routes of `/graphiql`.

    Args:
        dist: Where `make web` puts the page; looked into at each request, so it may be built later.
    """

    async def index(_request: Request) -> Response:
        return page_response(dist / "index.html", not_built=_NOT_BUILT)

    async def asset(request: Request) -> Response:
        return file_response(dist / "assets", request.path_params["name"], is_kept=True)

    return [
        Route("/graphiql", index, methods=["GET"]),
        Route("/graphiql/", index, methods=["GET"]),
        Route("/graphiql/assets/{name}", asset, methods=["GET"]),
    ]
