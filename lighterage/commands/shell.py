"""What every command does: read the settings, open the product, tell a fault in one line, and answer with a code."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from domain.errors import LighterageError

if TYPE_CHECKING:
    from lighterage.assembly import Product
    from lighterage.settings import Settings

T = TypeVar("T")

FAILURE_EXIT = 1
NOTHING_EXIT = 3  # all is well, and there was nothing to do
DEFAULT_URL = "http://127.0.0.1:8000"

ServerUrl = Annotated[str, typer.Option("--url", envvar="LIGHTERAGE_URL", help="Where the server is.")]
Token = Annotated[
    str, typer.Option("--token", envvar="LIGHTERAGE_TOKEN", help="Access token, from `lighterage token`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

errors = Console(stderr=True, soft_wrap=True, highlight=False)


def load_settings() -> "Settings":
    """Read the settings, or say every one that cannot be right and end."""
    from lighterage.settings import SettingsError
    from lighterage.settings import load_settings as load

    try:
        return load()
    except SettingsError as error:
        fail("these settings cannot be right:\n" + "\n".join(f"  {line}" for line in str(error).splitlines()))


def with_product(settings: "Settings", work: "Callable[[Product], Awaitable[T]]", *, with_sql: bool = False) -> T:
    """Open the product, do the work in it, and close it; a fault is told in one line."""
    from lighterage.assembly import open_product
    from lighterage.settings import SettingsError

    async def run() -> T:
        async with open_product(settings, with_sql=with_sql) as product:
            return await work(product)

    try:
        return asyncio.run(run())
    except (SettingsError, LighterageError) as error:
        fail(str(error))


def tell(text: str, facts: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done: a sentence for people, or its facts for programs."""
    print(json.dumps(facts) if as_json else text)


def fail(message: str, code: int = FAILURE_EXIT) -> NoReturn:
    errors.print("[red]error:[/]", end=" ")
    errors.print(message, markup=False)
    raise typer.Exit(code)
