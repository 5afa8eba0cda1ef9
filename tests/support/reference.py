"""
The tables of docs/reference that are made from the code: `make reference` writes them, tests/house compares them.

A page says in a comment where its table stands; everything around it is written by hand.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import typer.main

from domain.errors import LighterageError
from tests.support import openapi, postman
from tests.support.sources import ROOT, modules, read

FACES = {
    "uploads": ("upload.protocol.tus1", "STATUS_BY_CODE"),
    "GraphQL": ("schema.errors", "ANSWERS"),
    "REST": ("rest.problems", "STATUS_BY_CODE"),
}
"""Each face's table from an error's code to its answer."""

BEGIN, END = "<!-- table: begin (make reference writes it) -->", "<!-- table: end -->"


def face_tables() -> dict[str, dict[str, object]]:
    """Give the table of each face that is there."""
    return {
        face: getattr(importlib.import_module(module), name)
        for face, (module, name) in FACES.items()
        if find_spec(module.rpartition(".")[0]) and find_spec(module)
    }


def error_classes() -> list[type[LighterageError]]:
    """Give every error that a client may be told about, by code: those of every module named `errors`."""
    homes = {module.name for module in modules() if module.name.endswith(".errors")}
    for home in homes:
        importlib.import_module(home)
    return sorted(
        (error for error in _subclasses(LighterageError) if error.__module__ in homes), key=lambda error: error.code
    )


def _subclasses(error: type[LighterageError]) -> Iterator[type[LighterageError]]:
    for child in error.__subclasses__():
        yield child
        yield from _subclasses(child)


def errors_table() -> str:
    """Give each code with its meaning, what to do, and how each face answers."""
    faces = face_tables()
    lines = [_row("code", *faces, "what it means", "what to do"), _row(*["---"] * (len(faces) + 3))]
    for error in error_classes():
        answers = [_answer(table.get(error.code)) for table in faces.values()]
        lines.append(_row(f"`{error.code}`", *answers, _meaning(error), error.hint))
    return "\n".join(lines)


def _meaning(error: type[LighterageError]) -> str:
    # Sentences about the class's own attributes are for whoever reads the code.
    sentences = (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ").split(". ")
    return ". ".join(sentence for sentence in sentences if "`" not in sentence).removesuffix(".") + "."


def _answer(answer: object) -> str:
    if answer is None:
        return "-"
    if isinstance(answer, int):
        return str(answer)
    codes = [getattr(answer, name, None) for name in ("code", "user_code")]
    return " / ".join(f"`{code.value}`" for code in codes if code is not None)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def settings_table() -> str:
    """Give each setting with its default and meaning."""
    table: str = importlib.import_module("lighterage.settings").settings_table()
    return table.strip()


def commands_table() -> str:
    """Give each command with what it takes."""
    cli = importlib.import_module("lighterage.cli")
    group = typer.main.get_command(cli.app)
    lines = [_row("command", "what it does"), _row("---", "---")]
    for name, command in sorted(getattr(group, "commands").items()):  # noqa: B009 (a group has them, its base has not)
        usage = " ".join([f"lighterage {name}", *filter(None, map(_usage, command.params))])
        lines.append(_row(f"`{usage}`", " ".join((command.help or "").split())))
    return "\n".join(lines)


def _usage(parameter: Any) -> str:
    name = parameter.name
    if parameter.param_type_name == "argument":
        return str(name).upper()
    if parameter.name == "help":
        return ""
    option = max(parameter.opts, key=len)
    text = option if parameter.is_flag else f"{option} {parameter.name.upper()}"
    return text if parameter.required and not parameter.envvar else f"[{text}]"


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/commands.md": commands_table,
    "docs/reference/errors.md": errors_table,
    "docs/reference/settings.md": settings_table,
}

WHOLE: dict[str, Callable[[], str]] = {
    "docs/reference/openapi.json": openapi.text,
    "docs/postman/collection.json": postman.text,
}
"""Files that are made as a whole."""


def written(path: str) -> str:
    """Give a page as it should be: its own words around the table of today."""
    if path in WHOLE:
        return WHOLE[path]()
    before, _, rest = read(path).partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{path} has no place for its table: {BEGIN} and {END}"
    return f"{before}{BEGIN}\n\n{PAGES[path]()}\n\n{END}{after}"


def main() -> None:
    """Write every table again."""
    for path in [*PAGES, *WHOLE]:
        if path in WHOLE or (ROOT / path).exists():
            (ROOT / path).write_text(written(path))


if __name__ == "__main__":
    main()
