"""The examples of docs/reference/sql.md are run, and the page names every function, type and error of ours."""

import re
from pathlib import Path

import pytest

from query import Header, InputFormat, Kind
from query.dialect.words import AGGREGATES, DATE_FUNCTIONS, FUNCTIONS, SPECIAL, TYPES
from query.errors import OWN_CODES, SEEN_CODES
from tests.support.query_run import Bench, outcome

PAGE = (Path(__file__).parents[3] / "docs/reference/sql.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:csv|json) (\w+)\n(.*?)```", PAGE, re.DOTALL))
ROW = re.compile(r"\| (`+)(.*?)\1 \| (.*) \|")


def examples() -> list[tuple[str, str]]:
    tables = re.findall(r"\| (?:query|expression) \| gives \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PAGE)
    rows = [ROW.fullmatch(line) for table in tables for line in table.splitlines()]
    assert all(rows), "a row of an example table that is no example"
    return [(row[2].strip(), row[3]) for row in rows if row is not None]


@pytest.mark.parametrize(("sql", "gives"), examples())
def test_example(bench: Bench, sql: str, gives: str) -> None:
    """What the page says is what happens."""
    error = re.fullmatch(r"error `(\w+)`", gives)
    parts = re.findall(r"(`+)(.*?)\1(?: |$)", gives.replace("``", "`\0`"))
    expected = f"!{error[1]}" if error else "\n".join(text.replace("\0", "") for _, text in parts)
    if not sql.startswith("SELECT"):
        assert outcome(bench, f"SELECT {sql} FROM S3Object", b"x\n", InputFormat()) == expected
        return
    is_json = "[*]" in sql or "created" in sql
    given = InputFormat(kind=Kind.JSON) if is_json else InputFormat(header=Header.USE)
    assert outcome(bench, sql, FILES["rules" if is_json else "people"].encode(), given) == expected


@pytest.mark.parametrize(
    "word", sorted(AGGREGATES | DATE_FUNCTIONS | set(FUNCTIONS) | SPECIAL | set(OWN_CODES) | set(SEEN_CODES))
)
def test_page_names_everything(word: str) -> None:
    """A function or code that is not on the page does not exist for its reader."""
    assert word in PAGE


@pytest.mark.parametrize("name", sorted(set(TYPES) - {"DOUBLE", "CHARACTER"}))
def test_page_names_every_type(name: str) -> None:
    """The synonyms too."""
    assert f"`{name}`" in PAGE
