"""The papers of docs/: their figures are of today, and what they name is there."""

import re

import pytest
import typer.main

from benchmarks.cost import PRICES, PROFILES, costs, s3_puts, tables, written
from lighterage.cli import app
from tests.support.sources import ROOT, read

COMMANDS = set(getattr(typer.main.get_command(app), "commands"))  # noqa: B009 (a group has them, its base has not)
PAPERS = ("docs/reliability.md", "docs/security.md", "docs/operations.md", "docs/deploying.md", "docs/scalability.md")


def test_cost_is_reckoned_of_today_R000_39_R003_35_R004_31():
    """`python -m benchmarks.cost --write` writes it again."""
    page = read("docs/cost.md")

    assert written(page) == page
    assert len(PROFILES) == 3
    assert "free tier" in page


def test_cost_is_what_its_formulae_say_R000_39():
    """One bill, by hand."""
    person = PROFILES[0]

    assert pytest.approx(730 * (0.0094 + 0.005)) == costs(person)["servers"]
    assert 0.0 == costs(person)["storage"]
    assert 50_000 == s3_puts(PROFILES[1])
    assert 2_000_000 * 4 == s3_puts(PROFILES[2])
    assert all(f"| {name} | {price:g} |" in tables() for name, price in PRICES.items())


def test_commands_of_others_are_mapped_to_ones_that_are_there_RC15_R001_4_R001_16_R003_13_R003_15():
    """And every command of theirs has one of ours."""
    page = read("docs/guides/from-other-projects.md")
    ours = set(re.findall(r"`(?:docker compose exec app )?lighterage (\w+)", page))

    assert {"user", "queue", "seed", "migrate", "serve"} <= ours <= COMMANDS
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", page)) <= targets


@pytest.mark.parametrize("path", PAPERS)
def test_tests_and_files_that_a_paper_names_are_there(path):
    """A promise that names its test must not outlive it."""
    named = set(re.findall(r"`((?:tests|deploy|docs|benchmarks)/[\w./-]+)`", read(path)))

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", PAPERS)
def test_settings_that_a_paper_names_are_there_R002_21_R002_34(path):
    """A setting that was renamed takes its pages along."""
    known = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", read("docs/reference/settings.md")))
    named = set(re.findall(r"\bLIGHTERAGE_[A-Z0-9_]+\b", read(path)))
    told = {"LIGHTERAGE_URL", "LIGHTERAGE_TOKEN", "LIGHTERAGE_IMAGE"}

    assert sorted(name for name in named - known - told if not name.startswith("LIGHTERAGE_TEST_")) == []


def test_deployment_has_its_pictures_R004_28_R004_30_R000_41():
    """Architecture with diagrams, prerequisites, what scales and how far."""
    assert 4 <= read("docs/architecture.md").count("```mermaid")
    assert "## Before" in read("docs/deploying.md")
    assert "What breaks first" in read("docs/scalability.md")


def test_setup_is_two_commands_R004_9_R004_10_R002_19_R002_20_R003_14_R001_20():
    """What is needed first, one command to start and one to test, which are there."""
    readme, targets = read("README.md"), set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))

    assert "You need Python 3.11" in readme
    blocks = re.findall(r"^```sh (\w+)\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert {"run": "make run\n", "test": "make test\n"} == {kind: text for kind, text in blocks if kind != "watch"}
    assert {"run", "test", "image"} <= targets


def test_choices_give_their_situation_R002_35():
    """A page each, with what led to it and what was chosen."""
    pages = {page.name: page.read_text() for page in (ROOT / "docs" / "decisions").glob("*.md")}

    assert len(pages) >= 15
    assert [name for name, text in sorted(pages.items()) if "Situation" not in text or "Choice" not in text] == []


def test_performance_says_how_it_was_measured_R000_40():
    """Command, machine and date beside the figures."""
    page = read("docs/performance.md")

    assert ".venv/bin/python -m benchmarks.upload" in page
    assert re.search(r"Measured on 20\d\d-\d\d-\d\d on \w+ cores", page)
