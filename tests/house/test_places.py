"""What only one place may do: read the environment, ask for the time, write to the terminal."""

import ast
from collections.abc import Iterator

from tests.support.sources import imports, modules

ENVIRONMENT = ("lighterage/settings.py",)
CLOCK = ("domain/clock.py", "lighterage/")
TERMINAL = ("lighterage/commands/",)

CLOCK_CALLS = frozenset({"now", "utcnow", "today"})


def attributes(tree: ast.AST, owner: str) -> Iterator[ast.Attribute]:
    """Yield each `owner.something` of a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner:
            yield node


def test_environment_is_read_in_settings_only():
    """Whoever reads a variable elsewhere makes a setting that no table lists and no test can change."""
    wrong = [
        f"{module.path}:{node.lineno} reads os.{node.attr}"
        for module in modules()
        if not module.path.startswith(ENVIRONMENT)
        for node in attributes(module.tree, "os")
        if node.attr in {"environ", "environb", "getenv", "getenvb", "putenv"}
    ] + [
        f"{module.path}:{found.line} imports {found.name}"
        for module in modules()
        if not module.path.startswith(ENVIRONMENT)
        for found in imports(module)
        if found.name in {"os.environ", "os.environb", "os.getenv"} or found.top == "dotenv"
    ]

    assert wrong == []


def test_clock_is_asked_in_one_place():
    """Everything else is handed a Clock, so that a test can say what time it is."""
    wrong = [
        f"{module.path}:{found.line} imports {found.name}"
        for module in modules()
        if not module.path.startswith(CLOCK)
        for found in imports(module)
        if found.top == "time"
    ] + [
        f"{module.path}:{node.lineno} calls {owner}.{node.attr}"
        for module in modules()
        if not module.path.startswith(CLOCK)
        for owner in ("datetime", "date")
        for node in attributes(module.tree, owner)
        if node.attr in CLOCK_CALLS
    ]

    assert wrong == []


def test_only_the_commands_print():
    """A service that prints talks to nobody; it logs, through the roof."""
    wrong = [
        f"{module.path}:{node.lineno}"
        for module in modules()
        if not module.path.startswith(TERMINAL)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "input"}
    ]

    assert wrong == []
