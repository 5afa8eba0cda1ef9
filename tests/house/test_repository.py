"""The repository itself: its licence, what must not stand in a tracked file, its locks, its change notes."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.sources import ROOMS, ROOT, read, tracked_files

# Written in pieces, since this file is tracked too.
HOSTS = (
    "pypi" + ".org",
    "python" + "hosted",
    "registry" + ".npmjs",
    "proxy" + ".golang",
    "crates" + ".io",
    "repo1" + ".maven",
)
MACHINE_PATHS = (r"/ro" + r"ot/", r"(?<![\w.$}-])/wo" + r"rk/", r"/ho" + r"me/\w", r"/Us" + r"ers/\w")
CHANGE_NOTE = re.compile(r"changelog\.d/[0-9]+(\.[a-z0-9-]+)?\.(added|changed|fixed|removed|security)\.md")
SENTENCE = re.compile(r"[A-Z`].*[.!`]", re.DOTALL)

_PROJECT = tomllib.loads(read("pyproject.toml"))["project"]


def pins(path: str) -> dict[str, str]:
    """Give the version of each distribution that a lock file names."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", read(path), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def texts():
    """Yield the path and text of each tracked file that is text."""
    for path in tracked_files():
        try:
            yield path, read(path)
        except UnicodeDecodeError:
            continue


def test_git_passes_over_no_module():
    """A module that an ignore rule names works on one machine only: `git add` leaves it out without a word."""
    ignored = ["git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *ROOMS, "tests"]
    listing = subprocess.run(ignored, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert [path for path in listing.split("\0") if path.endswith(".py")] == []


def test_licence_is_apache():
    """The same in the text, in the package and in the pages."""
    assert "Apache License\n                           Version 2.0" in read("LICENSE")
    assert _PROJECT["license"] == "Apache-2.0"
    assert '"license": "Apache-2.0"' in read("web/package.json")


def test_no_file_names_a_registry_or_a_machine():
    """Where packages come from is the affair of whoever installs them, and no path of ours is theirs."""
    pattern = re.compile("|".join([*map(re.escape, HOSTS), *MACHINE_PATHS]))
    wrong = [
        f"{path}:{number} {match[0]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("requirements.txt", _PROJECT["dependencies"] + _PROJECT["optional-dependencies"]["build"]),
        ("requirements-dev.txt", _PROJECT["dependencies"] + _PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_lock_fits_what_is_declared(lock, declared):
    """Whoever changes a dependency runs `make lock`."""
    locked = pins(lock)
    wrong = [
        f"{wanted} is locked at {locked.get(canonicalize_name(wanted.name))}"
        for wanted in map(Requirement, declared)
        if not wanted.specifier.contains(locked.get(canonicalize_name(wanted.name), "0"), prereleases=True)
    ]

    assert wrong == []


def test_every_pin_has_a_hash():
    """pip then refuses a package that is not the one that was tested."""
    for lock in ("requirements.txt", "requirements-dev.txt"):
        blocks = re.split(r"^(?=[A-Za-z0-9])", read(lock), flags=re.MULTILINE)[1:]

        assert [block.split(" ")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_locks_agree():
    """What is tested is what is served."""
    runtime, dev = pins("requirements.txt"), pins("requirements-dev.txt")

    assert runtime == {name: dev.get(name) for name in runtime}


@pytest.mark.parametrize("lock", [path for path in tracked_files() if path.endswith("package-lock.json")])
def test_npm_lock_names_no_address(lock):
    """The .npmrc beside it sees to it; a lock written without it would name the registry of whoever wrote it."""
    assert '"resolved":' not in read(lock)


def test_change_notes_have_their_form():
    """changelog.d/NUMBER.KIND.md, one paragraph to the user."""
    notes = [path for path in tracked_files() if path.startswith("changelog.d/") and path != "changelog.d/README.md"]

    assert [path for path in notes if not CHANGE_NOTE.fullmatch(path)] == []
    assert [path for path in notes if not SENTENCE.fullmatch(read(path).strip())] == []


def test_sizes(record_property):
    """Told, not judged: a file past 450 lines is worth a look."""
    long = {path: text.count("\n") for path, text in texts() if path.endswith(".py") and text.count("\n") > 450}

    record_property("files_of_more_than_450_lines", long)


def test_architecture_stays_readable():
    """One page that is read to the end."""
    assert read("ARCHITECTURE.md").count("\n") <= 200


@pytest.mark.parametrize("room", ROOMS)
def test_image_holds_every_room(room):
    """.dockerignore lets in what it names."""
    assert f"!{room}" in read(".dockerignore").splitlines()


def test_compose_names_the_parameters_of_old_R003_16():
    """Whoever set these for another server sets them here."""
    compose = read("docker-compose.yml")
    wanted = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_STORAGE_BUCKET_NAME", "AWS_S3_REGION_NAME")

    assert [name for name in wanted if f"\n      {name}:" not in compose] == []
    assert '\n      DEBUG: "False"' in compose
