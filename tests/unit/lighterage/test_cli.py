"""The commands of whoever runs the server: what they do, say, and answer to a shell."""

import socket
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lighterage.cli import app
from lighterage.settings import Settings


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "HOST", "ADMIN_EMAIL", "ADMIN_PASSWORD", "MONGO_URL", "S3_BUCKET"):
        monkeypatch.delenv(f"LIGHTERAGE_{name}", raising=False)
    monkeypatch.setenv("LIGHTERAGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(
        "auth.passwords.PasswordHasher.__init__.__kwdefaults__", {"memory_kib": 8, "rounds": 1, "concurrency_max": 1}
    )

    def call(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=environ)

    return call


def test_user_is_made_changed_and_switched_off(run):
    """Row 001: `lighterage user NAME PASSWORD 0|1`, exit code 0 each time."""
    made = run("user", "carla", "correct horse", "1")
    changed = run("user", "carla", "battery staple", "1")
    off = run("user", "carla", "battery staple", "0")

    assert [0, 0, 0] == [made.exit_code, changed.exit_code, off.exit_code], made.output
    assert "made carla (active)" in made.output
    assert "changed carla (active)" in changed.output
    assert "changed carla (switched off)" in off.output


def test_weak_password_is_warned_of_and_taken(run):
    """Whoever runs the server decides."""
    done = run("user", "carla", "x", "1")

    assert 0 == done.exit_code
    assert "warning" in done.output


@pytest.mark.parametrize(
    "arguments",
    [("user",), ("user", "carla"), ("user", "carla", "x", "2"), ("user", "carla", "x", "yes"), ("nothing",)],
)
def test_wrong_use_is_said_with_2(run, arguments):
    """As every command line does."""
    assert 2 == run(*arguments).exit_code


def test_wrong_name_is_said_with_1(run):
    """In one line, without a traceback."""
    done = run("user", "a/b", "correct horse", "1")

    assert 1 == done.exit_code
    assert "a user name has" in done.output
    assert "Traceback" not in done.output


def test_bad_settings_are_all_said(run):
    """And nothing is begun."""
    done = run("serve", LIGHTERAGE_PORT="x", LIGHTERAGE_FSYNC="maybe")

    assert 1 == done.exit_code
    assert "LIGHTERAGE_PORT" in done.output
    assert "LIGHTERAGE_FSYNC" in done.output


def test_port_that_is_taken_is_said_with_what_to_do(run):
    """The most usual mistake of all."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", LIGHTERAGE_PORT=str(taken.getsockname()[1]))

    assert 1 == done.exit_code
    assert "LIGHTERAGE_PORT" in done.output
    assert "Traceback" not in done.output


def test_data_directory_that_is_none_is_said(run, tmp_path):
    """A file in its place, or a place where nothing can be made."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        done = run("user", "carla", "correct horse", "1", LIGHTERAGE_DATA_DIR=str(path))
        assert (1, True) == (done.exit_code, "LIGHTERAGE_DATA_DIR" in done.output), done.output


def test_settings_are_listed(run):
    """Each with its default and what it does."""
    done = run("settings")

    assert 0 == done.exit_code
    assert len(Settings.model_fields) + 2 == len(done.output.splitlines())
    assert run("version").output.strip()


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "cities.csv"
    path.write_text("city,people\nBremen,569396\nLeer,35200\n")
    return str(path)


@pytest.mark.slow
def test_query_over_a_file_of_this_machine_needs_no_server(run, table):
    """The result goes to standard output alone, what it took to standard error."""
    sql = "SELECT s.city FROM S3Object[*] s WHERE CAST(s.people AS INT) > 100000"
    plain = run("query", table, sql, "--names", "--stats")
    as_json = run("query", table, sql, "--output", "json")

    assert (plain.exit_code, plain.stdout) == (0, "city\nBremen\n")
    assert "1 records, 12 bytes; 37 bytes read" in plain.stderr
    assert (as_json.stdout, as_json.stderr) == ('{"city":"Bremen"}\n', "")


@pytest.mark.slow
def test_query_that_is_wrong_is_pointed_at(run, table):
    """Code, message, and the place in the statement, brackets and all."""
    failed = run("query", table, "SELECT *\nFROM S3Object[*] s JOIN x")

    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.splitlines() == [
        "error: ParseMalformedJoin: JOIN is not supported (line 2, column 20)",
        "  FROM S3Object[*] s JOIN x",
        "                     ^",
    ]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--output", "xml"), "output.format must be one of"),
        (("--output", "frames"), "take csv or json"),
        (("--header", "perhaps"), "input.header must be one of"),
        (("--delimiter", "ab"), "InvalidRequestParameter"),
    ],
)
def test_query_with_options_that_cannot_be_says_which(run, table, arguments, word):
    """Before a process is started."""
    failed = run("query", table, "SELECT * FROM S3Object", *arguments)

    assert failed.exit_code == 1
    assert word in failed.stderr


def test_query_over_neither_file_nor_id_says_so(run):
    """A slip in a path must not look like a fault of the server."""
    failed = run("query", "nothing.csv", "SELECT * FROM S3Object")

    assert failed.exit_code == 1
    assert "there is no file nothing.csv" in failed.stderr


def test_seed_makes_ten_users_and_twice_is_harmless_R003_15(run, tmp_path):
    """Each in a tenant of their own; those who are there stay logged in."""
    first, second = run("seed"), run("seed")

    assert [0, 0] == [first.exit_code, second.exit_code], first.output
    assert "made 10, found 0 of 10 users" in first.output
    assert "made 0, found 10 of 10 users" in second.output
    with sqlite3.connect(tmp_path / "data" / "lighterage.db") as database:
        names = {name for (name,) in database.execute("SELECT username FROM users")}
        tenants = {slug for (slug,) in database.execute("SELECT slug FROM tenants")}
    assert names == tenants == {f"john{number}" for number in range(1, 11)}


def test_seed_refuses_in_production_R003_15(run, tmp_path):
    """A password that everybody knows is no good there; whoever insists may."""
    refused = run("seed", ENV="production")
    nothing = not (tmp_path / "data").exists()
    forced = run("seed", "--force", ENV="production")

    assert (1, True, 0) == (refused.exit_code, nothing, forced.exit_code)
    assert "--force" in refused.output


def test_migrate_may_run_twice_R003_13(run):
    """As the server does it at every start."""
    assert [0, 0] == [run("migrate").exit_code, run("migrate").exit_code]


@pytest.mark.parametrize("users", ["alice", "alice:", ":pw", "alice:pw,bob"])
def test_users_in_another_form_are_said_without_the_passwords(run, users):
    """They stand in the environment, and the message in a log."""
    done = run("serve", USERS=users)

    assert 1 == done.exit_code
    assert "USERS is written as" in done.output
    assert "pw" not in done.output


def test_quota_is_set_and_taken_away(run):
    """By the tenant's name in addresses."""
    run("user", "carla", "correct horse", "1")
    some, none = run("quota", "carla", "1000"), run("quota", "carla", "none")
    unknown, wrong = run("quota", "nobody", "1000"), run("quota", "carla", "lots")

    assert [0, 0, 1, 1] == [some.exit_code, none.exit_code, unknown.exit_code, wrong.exit_code]
    assert "carla may store 1000 bytes" in some.output
    assert "any number of bytes" in none.output
