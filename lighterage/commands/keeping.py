"""The commands that keep what is kept, and remove what is not: backup, restore, gc, expire."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import LighterageError
from lighterage.commands.shell import AsJson, fail, load_settings, tell, with_product

if TYPE_CHECKING:
    from lighterage.assembly import Product
    from lighterage.settings import Settings
    from services.maintenance import Rubbish


def backup(
    folder: Annotated[Path, typer.Argument(help="Where it goes; an earlier backup there is brought up to date.")],
) -> None:
    """Copy records and files of the data directory, while the server runs; an earlier backup is only added to."""
    from lighterage.keeping import back_up

    settings = _local_settings()
    try:
        copied = back_up(settings.data_dir, folder)
    except LighterageError as error:
        fail(error.message)
    print(f"copied {copied.files} files ({copied.bytes} bytes), had {copied.kept} already; records are of this moment")


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup.")],
) -> None:
    """Copy a backup into a data directory that is empty, and look whether every file that the records name is whole."""
    from lighterage.keeping import missing_files
    from lighterage.keeping import restore as copy

    settings = _local_settings()
    try:
        copied = copy(folder, settings.data_dir)
    except LighterageError as error:
        fail(error.message)
    print(f"restored {copied.files} files ({copied.bytes} bytes)")

    async def check(product: "Product") -> None:
        missing = await missing_files(product.records, product.blobs)
        for file in missing:
            print(f"not whole: {file.id} {file.name}")
        if missing:
            fail(f"{len(missing)} files are not whole; everything else can be used")

    with_product(settings, check)
    print("every file that the records name is whole")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what is over: unfinished uploads and files that ran out, old trash, pieces of uploads that are no more."""

    async def work(product: "Product") -> "Rubbish":
        return await (product.maintenance.overdue() if dry_run else product.maintenance.collect())

    _tell_rubbish(with_product(load_settings(), work), "would remove" if dry_run else "removed", as_json=as_json)


def expire(as_json: AsJson = False) -> None:
    """Remove what ran out, unfinished uploads and files with an end, without waiting for the server to do so."""
    _tell_rubbish(
        with_product(load_settings(), lambda product: product.maintenance.expire()), "removed", as_json=as_json
    )


def _tell_rubbish(found: "Rubbish", verb: str, *, as_json: bool) -> None:
    text = (
        f"{verb} {found.uploads} unfinished uploads, {found.expired_files} files past their end, "
        f"{found.trash} files in the trash, {found.pieces} pieces of uploads that are no more"
    )
    tell(text, asdict(found), as_json=as_json)


def _local_settings() -> "Settings":
    settings = load_settings()
    if settings.mongo_url is not None or settings.s3_bucket is not None:
        fail(
            "this is for the data directory alone; with MongoDB or S3 use their own means: docs/operations.md, "
            "backup and restore"
        )
    return settings
