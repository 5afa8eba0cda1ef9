"""
The command line: serve, users, and a client that uploads.

Each command imports what it runs: one that only asks a server need not load the server.
"""

import asyncio
import importlib.metadata
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from domain.errors import InvalidValue, LighterageError

if TYPE_CHECKING:
    from lighterage.assembly import Product
    from lighterage.settings import Settings
    from services.accounts import SavedUser

app = typer.Typer(
    name="lighterage",
    help="Lighterage lands files of any size: resumable, verified, and queryable with SQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
errors = Console(stderr=True, soft_wrap=True, highlight=False)

FAILURE_EXIT = 1
SEEDED = [f"john{number}" for number in range(1, 11)]
SEED_PASSWORD = "test"  # noqa: S105 (the one that everybody knows)

ServerUrl = Annotated[str, typer.Option("--url", envvar="LIGHTERAGE_URL", help="Where the server is.")]
Token = Annotated[
    str, typer.Option("--token", envvar="LIGHTERAGE_TOKEN", help="Access token, from `lighterage token`.")
]
DEFAULT_URL = "http://127.0.0.1:8000"


@app.command()
def serve() -> None:
    """Serve until stopped. Everything is set by environment variables: see `lighterage settings`."""
    from lighterage.observability import configure_logging
    from lighterage.server import run
    from lighterage.settings import SettingsError

    settings = _settings()
    configure_logging("debug" if settings.debug else settings.log_level)
    try:
        run(settings, greet=_greet)
    except (SettingsError, LighterageError) as error:
        _fail(str(error))


@app.command()
def user(
    name: Annotated[str, typer.Argument(help="User name or e-mail address.")],
    password: Annotated[str, typer.Argument(help="The password from now on.")],
    is_active: Annotated[int, typer.Argument(min=0, max=1, help="1: may log in. 0: may not, and tokens stop working.")],
) -> None:
    """Make a user with a tenant of their own, or change the password and flag of one who is there."""
    from auth.passwords import check_password
    from lighterage.settings import SettingsError

    settings = _settings()
    try:
        check_password(password)
    except InvalidValue as error:
        errors.print(f"[yellow]warning:[/] {error.message}; accepted all the same from the command line")
    try:
        saved = asyncio.run(_save_user(settings, name, password, is_active=bool(is_active)))
    except (SettingsError, LighterageError) as error:
        _fail(str(error))
    state = "active" if saved.user.is_active else "switched off"
    print(f"{'made' if saved.is_new else 'changed'} {saved.user.username} ({state}) in tenant {saved.tenant.slug}")


async def _save_user(settings: "Settings", name: str, password: str, *, is_active: bool) -> "SavedUser":
    from lighterage.assembly import open_product

    async with open_product(settings, with_sql=False) as product:
        return await product.services.accounts.save_user(name, password, is_active=is_active)


@app.command()
def seed(
    force: Annotated[bool, typer.Option("--force", help="Also where ENV is production.")] = False,
) -> None:
    """Make the users john1 to john10, password `test`, each with a tenant of their own: to try things, not to serve."""
    from lighterage.settings import SettingsError

    settings = _settings()
    if settings.environment.lower() == "production" and not force:
        _fail("ENV is production: these users have a password that everybody knows. --force makes them all the same.")
    try:
        made = asyncio.run(_seed(settings))
    except (SettingsError, LighterageError) as error:
        _fail(str(error))
    errors.print("[yellow]warning:[/] everybody knows the password of john1 to john10")
    print(f"made {made}, found {len(SEEDED) - made} of {len(SEEDED)} users")


async def _seed(settings: "Settings") -> int:
    from lighterage.assembly import open_product

    async with open_product(settings, with_sql=False) as product:
        accounts = product.services.accounts
        saved = [await accounts.ensure_user(name, SEED_PASSWORD, tenant_name=name) for name in SEEDED]
    return sum(one.is_new for one in saved)


@app.command()
def quota(
    slug: Annotated[str, typer.Argument(help="The tenant, by its name in addresses.")],
    size: Annotated[str, typer.Argument(metavar="BYTES", help="Bytes it may store, or `none` for no limit.")],
) -> None:
    """Set how much a tenant may store; what it has stored already stays."""
    from lighterage.settings import SettingsError

    settings = _settings()
    if size != "none" and not (size.isascii() and size.isdigit() and int(size) < 2**63):
        _fail(f"{size!r} is no number of bytes; `none` takes the limit away")
    try:
        asyncio.run(_set_quota(settings, slug, None if size == "none" else int(size)))
    except (SettingsError, LighterageError) as error:
        _fail(str(error))
    print(f"{slug} may store {'any number of' if size == 'none' else size} bytes")


async def _set_quota(settings: "Settings", slug: str, stored_bytes_max: int | None) -> None:
    from lighterage.assembly import open_product

    async with open_product(settings, with_sql=False) as product:
        await product.services.tenants.set_quota(slug, stored_bytes_max=stored_bytes_max)


@app.command()
def migrate() -> None:
    """Bring the database to the form of this release; the server does the same at its start."""
    from lighterage.settings import SettingsError

    settings = _settings()
    try:
        asyncio.run(_migrate(settings))
    except (SettingsError, LighterageError) as error:
        _fail(str(error))
    print("the database has the form of this release")


async def _migrate(settings: "Settings") -> None:
    from lighterage.assembly import open_product

    async with open_product(settings, with_sql=False) as product:
        await product.records.ping()


@app.command()
def settings() -> None:
    """List every setting, as docs/reference/settings.md has it."""
    from lighterage.settings import settings_table

    print(settings_table(), end="")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="User name or e-mail address.")],
    password: Annotated[str, typer.Argument(help="The password.")],
    url: ServerUrl = DEFAULT_URL,
) -> None:
    """Log in to a running server and print an access token."""
    from lighterage import client

    try:
        print(client.log_in(url, name, password))
    except client.ClientError as error:
        _fail(str(error))


@app.command()
def upload(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    token: Token,
    url: ServerUrl = DEFAULT_URL,
    chunk_mib: Annotated[int, typer.Option(min=1, max=5120, help="Send this many MiB in one request.")] = 64,
    again: Annotated[bool, typer.Option("--again", help="Upload anew, even if this file is there already.")] = False,
) -> None:
    """Upload a file by tus; started again after a break it goes on where the server stands. Prints the file's id."""
    from lighterage import client

    try:
        print(client.upload(url, token, path, chunk_bytes=chunk_mib * 2**20, again=again))
    except client.ClientError as error:
        _fail(str(error))


@app.command()
def query(
    file: Annotated[str, typer.Argument(help="A file here, or the id of one on the server.")],
    sql: Annotated[str, typer.Argument(help="SELECT … FROM S3Object …, the dialect of S3 Select.")],
    input_format: Annotated[
        str | None, typer.Option("--input", help="csv, json_lines, json_document, parquet; else as the file tells.")
    ] = None,
    compression: Annotated[
        str | None, typer.Option("--compression", help="none, gzip, bzip2, zstd; else as the file tells.")
    ] = None,
    header: Annotated[str, typer.Option("--header", help="Of a CSV file: use, ignore or none.")] = "use",
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Between the fields of a CSV file.")] = None,
    output: Annotated[str, typer.Option("--output", help="csv or json.")] = "csv",
    names: Annotated[bool, typer.Option("--names", help="CSV begins with the names of the columns.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Say on standard error what it took.")] = False,
    token: Annotated[str | None, typer.Option("--token", envvar="LIGHTERAGE_TOKEN", help="For a file's id.")] = None,
    url: ServerUrl = DEFAULT_URL,
) -> None:
    """Ask a CSV, JSON or Parquet file with SQL: one of this machine, without a server, or one that was uploaded."""
    from lighterage.querying import Asked, QueryFault, answers

    given = {"format": input_format, "compression": compression, "header": header, "delimiter": delimiter}
    wanted = {"format": output, "header": names or None}
    asked = Asked(file, {"sql": sql, "input": given, "output": wanted}, url, token)
    try:
        took = answers(asked, sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read has enough. What is still in the buffer must not be written again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except QueryFault as error:
        sys.stdout.buffer.flush()
        errors.print("[red]error:[/]", end=" ")
        errors.print("\n".join([error.message, *error.pointer(sql)]), markup=False)
        raise typer.Exit(FAILURE_EXIT) from error
    if stats:
        errors.print(took)


@app.command()
def version() -> None:
    """Print the version."""
    print(importlib.metadata.version("lighterage"))


def main() -> None:
    app()


def _settings() -> "Settings":
    from lighterage.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        _fail("these settings cannot be right:\n" + "\n".join(f"  {line}" for line in str(error).splitlines()))


def _fail(message: str) -> NoReturn:
    errors.print(f"[red]error:[/] {message}")
    raise typer.Exit(FAILURE_EXIT)


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
        f"  GraphQL     {url}/graphql   (try it at {url}/graphiql)",
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
