"""The commands of the server itself."""

import importlib.metadata
import shlex
import sys
from typing import TYPE_CHECKING

from domain.errors import LighterageError
from lighterage.commands.shell import fail, load_settings, with_product

if TYPE_CHECKING:
    from lighterage.assembly import Product


def serve() -> None:
    """Serve until stopped. Everything is set by environment variables: see `lighterage settings`."""
    from lighterage.observability import configure_logging
    from lighterage.server import run
    from lighterage.settings import SettingsError

    settings = load_settings()
    configure_logging("debug" if settings.debug else settings.log_level)
    try:
        run(settings, greet=_greet)
    except (SettingsError, LighterageError) as error:
        fail(str(error))


def migrate() -> None:
    """Bring the database to the form of this release; the server does the same at its start."""
    with_product(load_settings(), lambda product: product.records.ping())
    print("the database has the form of this release")


def settings() -> None:
    """List every setting, as docs/reference/settings.md has it."""
    from lighterage.settings import settings_table

    print(settings_table(), end="")


def version() -> None:
    """Print the version."""
    print(importlib.metadata.version("lighterage"))


def _greet(product: "Product", password: str | None) -> None:
    """Say where to go, how to log in, and what to try."""
    settings, url = product.settings, product.address
    shown = password or "YOUR-PASSWORD"
    secret = f"{password}   (made just now; it is shown this once)" if password else "the one you have"
    command = f"{shlex.quote(sys.executable)} -m lighterage"
    lines = [
        "",
        f"Lighterage {importlib.metadata.version('lighterage')} takes uploads at {url}/files/",
        "",
        f"  log in as   {settings.admin_email}",
        f"  password    {secret}",
        f"  page        {url}/",
        f"  REST        {url}/api/v1/   (try it at {url}/swagger)",
        *([f"  GraphQL     {url}/graphql   (try it at {url}/graphiql)"] if settings.graphql else []),
        f"  kept in     {settings.data_dir.resolve()}",
        "",
        "Try, in a second terminal:",
        "",
        f"  export LIGHTERAGE_URL={url}",
        f"  export LIGHTERAGE_TOKEN=$({command} token {settings.admin_email} {shlex.quote(shown)})",
        f"  {command} upload README.md",
        f"  curl -s {url}/graphql -H 'Content-Type: application/json' \\",
        '    -H "Authorization: Bearer $LIGHTERAGE_TOKEN" \\',
        '    -d \'{"query": "{ files(first: 5) { nodes { id name size sha256 downloadUrl } } }"}\'',
        "",
    ]
    print("\n".join(lines), flush=True)
