"""
Who may import whom: the tables of ARCHITECTURE.md, held against the code.

Nothing is imported here, only parsed, so a fault in one room does not hide those in another.
"""

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from tests.support.sources import ROOMS, Module, imports, modules, table

OPTIONAL_PACKAGES = frozenset({"PIL", "authlib", "opentelemetry", "uvloop"})
"""These may be imported inside a function: their absence is part of the function's answer."""

LOADED_ON_DEMAND = (
    "lighterage/assembly.py",
    "lighterage/processing.py",
    "lighterage/commands/",
    "lighterage/directory.py",
)
"""The roof loads only what the command or the settings name: a command that asks a server is there in a third of the
time, and a server without MongoDB and S3 is 20 MiB smaller."""

# Parts of the standard library that would carry a room's work into another room.
KEPT_PARTS_OF_THE_STANDARD_LIBRARY = frozenset({"sqlite3"})


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


ARROWS = {
    words(row["room"])[0]: set(words(row["may import"]))
    for row in table("ARCHITECTURE.md", "room", "holds", "may import")
}
LIBRARIES = {words(row["library"])[0]: words(row["where"]) for row in table("ARCHITECTURE.md", "library", "where")}


def is_under(path: str, places: list[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def first_party(module: Module) -> Iterator[tuple[str, int]]:
    """Yield each module of ours that this one imports when it is loaded, with the line."""
    names = {other.name for other in modules()}
    for found in imports(module):
        if found.top not in ROOMS or found.is_in_function or found.is_for_types_only:
            continue
        target = found.name if found.name in names else found.name.rpartition(".")[0]
        yield target, found.line


def test_table_names_every_room():
    """A room that is not in the table would be held to nothing."""
    assert set(ROOMS) == set(ARROWS)


def test_rooms_import_along_the_arrows():
    """Faces know services, services know ports, adapters know ports, and only the roof knows adapters."""
    wrong = [
        f"{module.path}:{found.line} imports {found.name}; {module.room} may import {sorted(ARROWS[module.room])}"
        for module in modules()
        for found in imports(module)
        if found.top in ROOMS and found.top not in ARROWS[module.room] | {module.room}
    ]

    assert wrong == []


def test_nothing_imports_the_tests():
    """Support for tests is not shipped."""
    wrong = [module.path for module in modules() for found in imports(module) if found.top in {"tests", "benchmarks"}]

    assert wrong == []


def test_libraries_stay_where_the_table_says():
    """A library that leaks out of its place makes that place hard to change."""
    standard = set(sys.stdlib_module_names) - KEPT_PARTS_OF_THE_STANDARD_LIBRARY
    wrong = [
        f"{module.path}:{found.line} imports {found.top}; its places are {LIBRARIES.get(found.top, 'nowhere')}"
        for module in modules()
        for found in imports(module)
        if found.top not in standard
        and found.top not in ROOMS
        and found.top not in OPTIONAL_PACKAGES
        and not is_under(module.path, LIBRARIES.get(found.top, []))
    ]

    assert wrong == []


def test_table_allows_nothing_in_vain():
    """What nobody needs any more is taken back, or the next one to need it would not be asked why."""
    used = {(found.top, module.path) for module in modules() for found in imports(module)}
    idle = [
        f"{library} in {place}"
        for library, places in LIBRARIES.items()
        for place in places
        if not any(top == library and is_under(path, [place]) for top, path in used)
    ]

    assert idle == []


def test_domain_imports_the_standard_library_only():
    """Its rules run, and are tested, anywhere."""
    assert not [places for places in LIBRARIES.values() if is_under("domain", places)]
    assert ARROWS["domain"] == set()


def test_adapters_do_not_know_their_siblings():
    """What two adapters share is a rule of the port and belongs into domain."""
    wrong = [
        f"{module.path}:{line} imports {target}"
        for module in modules()
        if module.room == "adapters"
        for target, line in first_party(module)
        if target.startswith("adapters.") and target.split(".")[1] != module.name.split(".")[1]
    ]

    assert wrong == []


def test_upload_grammar_touches_nothing_above_it():
    """It takes values and gives values: no socket, no store, no use case."""
    wrong = [
        f"{module.path}:{found.line} imports {found.name}"
        for module in modules()
        if module.name.startswith("upload.protocol")
        for found in imports(module)
        if not (found.name.startswith(("upload.protocol", "domain.")) or found.top in sys.stdlib_module_names)
        or found.top in {"asyncio", "socket", "ssl", "subprocess", "threading", "pathlib", "os"}
    ]

    assert wrong == []


def test_imports_stand_at_the_top():
    """An import in a function hides what a module depends on; missing packages and the roof are excepted."""
    wrong = [
        f"{module.path}:{found.line} imports {found.name} inside a function"
        for module in modules()
        for found in imports(module)
        if found.is_in_function and found.top not in OPTIONAL_PACKAGES and not module.path.startswith(LOADED_ON_DEMAND)
    ]

    assert wrong == []


def test_no_circles():
    """Modules can be read, and loaded, from the bottom up."""
    arrows = {module.name: {target for target, _ in first_party(module)} - {module.name} for module in modules()}
    loaded: set[str] = set()
    while ready := {name for name, targets in arrows.items() if name not in loaded and targets & set(arrows) <= loaded}:
        loaded |= ready

    assert sorted(set(arrows) - loaded) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_holds(room):
    """The first thing a newcomer reads in a folder."""
    module = next(module for module in modules() if module.name == room)

    assert ast.get_docstring(module.tree), f"{module.path} has no docstring"
