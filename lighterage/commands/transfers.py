"""The commands that ask a server: they need nothing of it but its address and a token."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lighterage.commands.shell import DEFAULT_URL, FAILURE_EXIT, AsJson, ServerUrl, Token, errors, fail, tell


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
        fail(str(error))


def upload(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    token: Token,
    url: ServerUrl = DEFAULT_URL,
    chunk_mib: Annotated[int, typer.Option(min=1, max=5120, help="Send this many MiB in one request.")] = 64,
    again: Annotated[bool, typer.Option("--again", help="Upload anew, even if this file is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a file by tus; started again after a break it goes on where the server stands. Prints the file's id."""
    from lighterage import client

    try:
        file_id = client.upload(url, token, path, chunk_bytes=chunk_mib * 2**20, again=again)
    except client.ClientError as error:
        fail(str(error))
    tell(file_id, {"file": file_id, "size": path.stat().st_size}, as_json=as_json)


def download(
    file: Annotated[str, typer.Argument(metavar="ID", help="The file's id, in either form.")],
    token: Token,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; a folder, or a name. Not given: its own name here.")
    ] = None,
    url: ServerUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Download a file; started again after a break it goes on where it was. Its digest is checked. Prints the path."""
    from lighterage.client import ClientError
    from lighterage.fetching import download as fetch

    try:
        place = fetch(url, token, file, output)
    except (ClientError, OSError) as error:
        fail(str(error))
    tell(str(place), {"path": str(place), "size": place.stat().st_size}, as_json=as_json)


def export(token: Token, url: ServerUrl = DEFAULT_URL) -> None:
    """Print what is known of every file that you may see: a JSON object a line, for `import` to bring back."""
    from lighterage.client import ClientError
    from lighterage.fetching import exported

    try:
        for document in exported(url, token):
            print(json.dumps(document, ensure_ascii=False))
    except ClientError as error:
        fail(str(error))


def bring_back(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="What `export` printed.")],
    token: Token,
    url: ServerUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Give files the name, visibility, resource, metadata and end that an export says. Exit code 1: not all of them."""
    from lighterage import fetching

    with path.open(encoding="utf-8") as lines:
        done, faults = fetching.bring_back(url, token, lines)
    tell(f"changed {done} files", {"changed": done, "faults": faults}, as_json=as_json)
    if faults:
        fail("\n".join(faults))


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
    save: Annotated[
        str | None, typer.Option("--save", help="Keep the result on the server, as a file of this name; prints its id.")
    ] = None,
    token: Annotated[str | None, typer.Option("--token", envvar="LIGHTERAGE_TOKEN", help="For a file's id.")] = None,
    url: ServerUrl = DEFAULT_URL,
) -> None:
    """Ask a CSV, JSON or Parquet file with SQL: one of this machine, without a server, or one that was uploaded."""
    from lighterage.querying import Asked, QueryFault, answers

    given = {"format": input_format, "compression": compression, "header": header, "delimiter": delimiter}
    wanted = {"format": output, "header": names or None}
    asked = Asked(file, {"sql": sql, "input": given, "output": wanted}, url, token, save)
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
