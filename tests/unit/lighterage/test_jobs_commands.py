"""The commands that work on jobs."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from lighterage.cli import app
from tests.support.product import open_world

CONTENT = b"here be dragons"


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTERAGE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def upload_maps(data_dir, count: int) -> None:
    async def upload() -> None:
        async with open_world(data_dir) as world:
            for number in range(count):
                await world.anna.upload(CONTENT, name=f"{number}.txt", collection="maps")

    asyncio.run(upload())


def test_queue_processes_one_message_at_a_time_R001_16_R001_21(data_dir):
    """Two messages need two runs; each prints the id, and a third finds nothing."""
    upload_maps(data_dir, 2)
    first, second, third = run("queue", "--json"), run("queue"), run("queue")

    assert [0, 0, 3] == [first.exit_code, second.exit_code, third.exit_code], first.output
    told = json.loads(first.stdout)
    *said, name = second.stdout.split()
    assert told["kind"] == "process"
    assert said[1:] == ["process", "succeeded"]
    assert {told["name"], name} == {"0.txt", "1.txt"}  # both were due at the same moment
    assert said[0] != told["uuid"]
    assert "no job waits" in third.output


def test_rules_of_a_tenant_are_set_and_taken_away(data_dir):
    """From the next upload on; what is no rule is refused. And what nobody scanned is not called scanned."""
    upload_maps(data_dir, 0)
    wrong, unknown = run("processing", "anna", "scan"), run("processing", "nobody", "*=scan!")
    assert 0 == run("processing", "anna", "*=scan!").exit_code
    upload_maps(data_dir, 1)
    taken = run("processing", "anna", "none")

    assert (1, 1, 0) == (wrong.exit_code, unknown.exit_code, taken.exit_code)
    tried = run("queue", "--kind", "scan")
    assert (4, True) == (tried.exit_code, "cannot be done here" in tried.output)


def test_queue_leaves_other_kinds_alone(data_dir):
    """What a worker of ours is to do is not called done by hand."""
    upload_maps(data_dir, 1)

    assert 3 == run("queue", "--kind", "scan").exit_code
    assert 0 == run("queue", "--kind", "process").exit_code
