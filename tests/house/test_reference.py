"""The pages of docs/reference are complete: their tables are made from the code and compared."""

import re

import pytest
import yaml

from tests.support.reference import PAGES, WHOLE, error_classes, face_tables, written
from tests.support.sources import ROOT, read

# Faults of a face itself never reach another one.
OF_UPLOADS_ONLY = frozenset(
    error.code for error in error_classes() if error.__module__.startswith("upload.") and error.code
)


@pytest.mark.parametrize("path", [*PAGES, *WHOLE])
def test_table_is_of_today(path):
    """`make reference` writes it again."""

    assert written(path) == read(path)


def test_every_code_is_its_own():
    """A client switches on the code: two classes with one code could not be told apart."""
    codes = [error.code for error in error_classes()]

    assert sorted(set(codes)) == codes
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


def test_every_error_says_what_to_do():
    """A message names the fault; the hint is what helps."""
    assert [error.code for error in error_classes() if not error.hint.endswith(".")] == []


@pytest.mark.parametrize("face", face_tables())
def test_face_answers_every_code(face):
    """A code that is missing from a face's table would become an internal error there."""
    wanted = {error.code for error in error_classes()} - (frozenset() if face == "uploads" else OF_UPLOADS_ONLY)

    assert sorted(wanted - set(face_tables()[face])) == []


def test_example_of_an_environment_names_settings_that_are_there():
    """A slip of the pen in .env-example would be copied by everybody."""
    known = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", read("docs/reference/settings.md")))
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", read(".env-example"), re.MULTILINE))
    named |= set(yaml.safe_load(read("docker-compose.yml"))["services"]["app"]["environment"])
    named |= set(re.findall(r"\b(LIGHTERAGE_[A-Z_]+)=", read("Dockerfile")))

    assert named - known == {"COMPOSE_PROFILES"}  # docker compose's own


def test_links_of_the_pages_lead_somewhere():
    """A page that was moved takes its links along."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])
    wrong = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]

    assert wrong == []
