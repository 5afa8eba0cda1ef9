"""What is over is removed when its operator says so, and only counted where they ask first."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from lighterage.cli import app
from services.files import FileChanges
from tests.support.product import FakeClock, open_world
from tests.support.upload_client import TUS

LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(days=400)
NOTHING = {"uploads": 0, "expired_files": 0, "trash": 0, "pieces": 0}


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTERAGE_DATA_DIR", str(tmp_path / "data"))
    asyncio.run(fill(tmp_path / "data"))
    return tmp_path / "data"


async def fill(data_dir) -> None:
    """An upload that ran out, a file past its end, one in the trash, and one to be kept, all long ago."""
    async with open_world(data_dir, clock=FakeClock(LONG_AGO)) as world:
        anna, files = world.anna, world.product.services.files
        for name in ("kept", "ending", "trashed"):
            await anna.upload(name.encode(), name=name, collection="maps")
        by_name = {file.name: file for file in await world.files_of(anna)}
        end = FileChanges(expires_at=LONG_AGO + timedelta(days=1))
        await files.update(anna.principal, by_name["ending"].id, end, if_version=None)
        await files.delete(anna.principal, [by_name["trashed"].id])
        await anna.tus.send("POST", "/files/", TUS | {"Upload-Length": "5"})


def run(*arguments: str):
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert 0 == done.exit_code, done.output
    return json.loads(done.stdout)


def names(data_dir) -> list[str]:
    async def look() -> list[str]:
        async with open_world(data_dir, clock=FakeClock(LONG_AGO)) as world:
            return [file.name for file in await world.files_of(world.anna)]

    return asyncio.run(look())


def test_dry_run_counts_and_removes_nothing(data_dir):
    counted = run("gc", "--dry-run")

    assert NOTHING | {"uploads": 1, "expired_files": 1, "trash": 1} == counted
    assert counted == run("gc", "--dry-run")
    assert ["kept", "ending", "trashed"] == names(data_dir)


def test_gc_removes_what_the_dry_run_counted(data_dir):
    counted = run("gc", "--dry-run")

    assert counted == run("gc")
    assert NOTHING == run("gc") == run("gc", "--dry-run")
    assert ["kept"] == names(data_dir)


def test_expire_leaves_the_trash(data_dir):
    assert NOTHING | {"uploads": 1, "expired_files": 1} == run("expire")
    assert ["kept", "trashed"] == names(data_dir)


def test_people_are_told_in_words(data_dir):
    done = CliRunner().invoke(app, ["gc", "--dry-run"])

    assert "would remove 1 unfinished uploads, 1 files past their end, 1 files in the trash" in done.output
