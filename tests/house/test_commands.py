"""Commands have a folder of their own, say what they do, and are all described; CI skips nothing."""

from types import SimpleNamespace

import pytest
import typer.main

from lighterage.cli import app
from tests.conftest import refuse_skip
from tests.support.sources import read

COMMANDS = {command.name or command.callback.__name__: command.callback for command in app.registered_commands}


def test_commands_stand_in_a_folder_of_their_own_R001_22():
    """A module a group; the command line itself only names them."""
    assert {callback.__module__.rpartition(".")[0] for callback in COMMANDS.values()} == {"lighterage.commands"}
    assert "def " not in read("lighterage/cli.py").replace("def main() -> None:", "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_says_what_it_does(name):
    """`--help` is what people read."""
    command = typer.main.get_command(app).commands[name]

    assert (command.help or "").strip().endswith(".")
    assert [option.name for option in command.params if not getattr(option, "help", None)] == []


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("Skipped: clamd is not there: apt-get install clamav-daemon", "failed"), ("Skipped: needs Docker", "skipped")],
)
def test_skipped_test_fails_where_ci_installs_what_it_needs_R001_24(monkeypatch, reason, outcome):
    """Each skip that is left names the service that is missing."""
    monkeypatch.setenv("CI", "true")
    report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("file", 1, reason), nodeid="test")
    refuse_skip(report)

    assert report.outcome == outcome
