"""The project's own files, as the guards of tests/house read them: text and syntax trees, nothing imported."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

ROOMS = (
    "domain",
    "query",
    "auth",
    "schema",
    "adapters",
    "services",
    "resolvers",
    "rest",
    "upload",
    "jobs",
    "lighterage",
)


@dataclass(frozen=True, slots=True)
class Module:
    """
    One module of a room.

    Attributes:
        name: Dotted, as it is imported.
        path: Below the project's root, with `/`.
    """

    name: str
    path: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `from a.b import c` imports `a.b.c`, of which the last may be a module or not."""

    name: str
    line: int
    is_in_function: bool
    is_for_types_only: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


@cache
def modules() -> tuple[Module, ...]:
    """Give every module of every room."""
    return tuple(
        Module(
            name=".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"),
            path=path.relative_to(ROOT).as_posix(),
            tree=ast.parse(path.read_text(), filename=str(path)),
        )
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    )


@cache
def imports(module: Module) -> tuple[Import, ...]:
    """Give every import of a module, wherever it stands."""
    return tuple(_imports(module, module.tree, is_in_function=False, is_for_types_only=False))


def _imports(module: Module, node: ast.AST, *, is_in_function: bool, is_for_types_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for name in _names(module, child):
            yield Import(name, child.lineno, is_in_function, is_for_types_only)  # type: ignore[attr-defined]
        yield from _imports(
            module,
            child,
            is_in_function=is_in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda),
            is_for_types_only=is_for_types_only
            or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)),
        )


def _names(module: Module, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            base = f"{package}.{base}" if base else package
        yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def tracked_files() -> tuple[str, ...]:
    """Give the path of every file that git keeps, or will keep with the next `git add`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted({path for path in listing.split("\0") if path and (ROOT / path).is_file()}))


def read(path: str) -> str:
    """Give a text file of the project, named by its path below the root."""
    return (ROOT / path).read_text()


def tables(text: str) -> Iterator[list[dict[str, str]]]:
    """Yield each table of a Markdown page: a list of rows, each a cell by its column's title."""
    lines = [line.strip() for line in text.splitlines()] + [""]
    start: int | None = None
    for number, line in enumerate(lines):
        if line.startswith("|"):
            start = number if start is None else start
        elif start is not None:
            titles, _, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in lines[start:number]]
            yield [dict(zip(titles, row, strict=True)) for row in rows]
            start = None


def table(path: str, *titles: str) -> list[dict[str, str]]:
    """Give the one table of a page that has just these columns."""
    found = [rows for rows in tables(read(path)) if rows and tuple(rows[0]) == titles]
    assert len(found) == 1, f"{path} has {len(found)} tables with the columns {titles}"
    return found[0]
