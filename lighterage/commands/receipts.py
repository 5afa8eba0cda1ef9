"""The command that checks a receipt: it needs no server, no network and no setting."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import InvalidValue
from lighterage.commands.shell import AsJson, fail, tell


def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    receipt: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="Its receipt, of /api/v1/files/ID/receipt."),
    ],
    keys: Annotated[
        Path,
        typer.Option(
            "--keys", exists=True, dir_okay=False, readable=True, help="The server's /.well-known/jwks.json, saved."
        ),
    ] = Path("jwks.json"),
    as_json: AsJson = False,
) -> None:
    """Check, without the server, that a file is the one that a receipt was given for. Exit code 1: it is not."""
    from auth.receipts import read_receipt

    try:
        jwks: Any = json.loads(keys.read_bytes())
        stated = read_receipt(receipt.read_text(errors="replace"), jwks)
    except (InvalidValue, ValueError) as error:
        fail(str(error))
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = file.stat().st_size
    if (size, sha256) != (stated.size, stated.sha256):
        wanted = f"{stated.size} bytes with SHA-256 {stated.sha256}"
        fail(f"{file} is not what the receipt states: {size} bytes with SHA-256 {sha256}, not {wanted}")
    facts = {
        "file": stated.file_id,
        "name": stated.name,
        "size": size,
        "sha256": sha256,
        "at": stated.at.isoformat(),
        "issuer": stated.issuer,
        "key": stated.key_id,
    }
    tell(f"{file} is {stated.name}, which {stated.issuer} received on {facts['at']}", facts, as_json=as_json)
