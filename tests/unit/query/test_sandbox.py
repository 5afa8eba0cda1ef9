"""What the engine cannot reach, and the proof that the lock is what stops it."""

import os
from pathlib import Path

import duckdb
import pytest

from query import QueryError
from query.dialect.parser import parse
from query.engine.connection import Limits, connect
from query.readers import Slot

# The parser lets none of these through; the engine must not either, if one day it did.
ESCAPES = [
    "SELECT content FROM read_text('{secret}')",
    "SELECT content FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}', auto_detect = false, columns = {{'a': 'VARCHAR'}})",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{folder}/*')",
    "COPY (SELECT 1) TO '{folder}/written.csv'",
    "ATTACH '{folder}/other.db' AS other",
    "EXPORT DATABASE '{folder}/dump'",
]
SETTINGS = [
    "SET enable_external_access = true",
    "SET allowed_paths = ['/']",
    "SET allowed_directories = ['/']",
    "SET memory_limit = '100GB'",
    "SET lock_configuration = false",
    "SET threads = 64",
    "SET temp_directory = '/tmp'",
]
EXTENSIONS = ["INSTALL httpfs", "LOAD httpfs", "LOAD '/tmp/evil.duckdb_extension'"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text("secret\n")
    return path


def run(connection: duckdb.DuckDBPyConnection, sql: str, secret: Path) -> None:
    connection.execute(sql.format(secret=secret, folder=secret.parent)).fetchall()


@pytest.mark.parametrize("sql", ESCAPES)
def test_locked_engine_reaches_no_other_file(sql: str, secret: Path) -> None:
    """A path that was not allowed before the lock does not exist for the engine."""
    with connect(Limits(64 << 20), []) as connection, pytest.raises(duckdb.Error):
        run(connection, sql, secret)

    assert [secret] == list(secret.parent.iterdir())


@pytest.mark.parametrize("sql", ESCAPES)
def test_without_the_lock_the_file_is_reached(sql: str, secret: Path) -> None:
    """The test above means something: with the lock off, the same statements run."""
    with connect(Limits(64 << 20, is_locked=False), []) as connection:
        run(connection, sql, secret)


@pytest.mark.parametrize("sql", SETTINGS + EXTENSIONS)
def test_locked_engine_changes_no_setting(sql: str) -> None:
    """Nothing can be set or loaded any more."""
    with connect(Limits(64 << 20), []) as connection, pytest.raises(duckdb.Error):
        connection.execute(sql)


def test_locked_engine_reads_its_own_slot_only() -> None:
    """The allowed path is the slot; the file beside it is not."""
    slot, other = Slot("mine"), Slot("other")
    for one in (slot, other):
        one.replace(b"a\n")
    sql = "SELECT * FROM read_csv('{}', auto_detect = false, columns = {{'a': 'VARCHAR'}})"
    with connect(Limits(64 << 20), [slot.path]) as connection:
        mine = connection.execute(sql.format(slot.path)).fetchall()
        with pytest.raises(duckdb.Error):
            connection.execute(sql.format(other.path))

    assert mine == [("a",)]
    slot.close()
    other.close()


def test_locked_engine_has_no_python_of_ours() -> None:
    """A name in FROM is never looked up among the variables of this process."""
    rows = [(1,)]
    with connect(Limits(64 << 20), []) as connection, pytest.raises(duckdb.Error):
        connection.execute("SELECT * FROM rows")
    assert rows


@pytest.mark.parametrize(
    "expression",
    [
        "getenv('HOME')",
        "duckdb_settings()",
        "current_setting('threads')",
        "read_text('/etc/passwd')",
        "pragma_version()",
    ],
)
def test_functions_of_the_engine_are_not_the_dialects(expression: str) -> None:
    """What the lock leaves open, the parser closes."""
    for sql in (f"SELECT {expression} FROM S3Object", f"SELECT * FROM {expression}"):
        with pytest.raises(QueryError):
            parse(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM S3Object; DROP TABLE x",
        "SELECT * FROM S3Object UNION SELECT 1",
        "SELECT * FROM S3Object s, S3Object t",
        "SELECT * FROM S3Object JOIN S3Object t ON 1 = 1",
        "SELECT (SELECT 1) FROM S3Object",
        "SELECT * FROM (SELECT 1)",
        "SELECT * FROM S3Object WHERE _1 IN (SELECT 1)",
        "SELECT * FROM S3Object WHERE EXISTS (SELECT 1)",
        "WITH x AS (SELECT 1) SELECT * FROM S3Object",
        "SELECT * FROM S3Object ORDER BY _1",
        "SELECT _1 FROM S3Object GROUP BY _1",
        "SELECT _1 FROM S3Object HAVING TRUE",
        "SELECT DISTINCT _1 FROM S3Object",
        "SELECT * FROM S3Object LIMIT 1 OFFSET 1",
        "SELECT * FROM other",
        "SELECT 1",
        "INSERT INTO S3Object VALUES (1)",
        "UPDATE S3Object SET _1 = 1",
        "DELETE FROM S3Object",
        "DROP TABLE S3Object",
        "CREATE TABLE t (a INT)",
        "PRAGMA database_list",
        "ATTACH 'x.db'",
        "COPY S3Object TO 'x'",
        "SELECT * FROM S3Object -- x",
        "SELECT * FROM S3Object /* x */",
        "SELECT _1::INT FROM S3Object",
        "SELECT $1 FROM S3Object WHERE ?",
        "SELECT [1] FROM S3Object",
        "SELECT {'a': 1} FROM S3Object",
        "SELECT x -> 1 FROM S3Object",
        "SELECT * EXCLUDE (_1) FROM S3Object",
        "SELECT COLUMNS(*) FROM S3Object",
        "SELECT _1 FROM S3Object QUALIFY TRUE",
        "SELECT SUM(_1) OVER () FROM S3Object",
        "SELECT SUM(_1) FILTER (WHERE TRUE) FROM S3Object",
        "SELECT INTERVAL 1 DAY FROM S3Object",
        "SELECT _1 COLLATE NOCASE FROM S3Object",
        "SELECT _1 ILIKE 'a' FROM S3Object",
        "SELECT _1 SIMILAR TO 'a' FROM S3Object",
        "SELECT E'a' FROM S3Object WHERE x'00'",
        "",
        " ",
    ],
)
def test_nothing_outside_the_dialect_is_let_through(sql: str) -> None:
    """A query means the same here and in a store that has SelectObjectContent."""
    with pytest.raises(QueryError):
        parse(sql)


def test_worker_gets_no_environment() -> None:
    """A worker's environment holds no secret, because it holds nothing."""
    from query.engine import pool

    assert "LC_ALL" in Path(pool.__file__).read_text()
    assert "os.environ" not in Path(pool.__file__).read_text()
    assert os.environ
