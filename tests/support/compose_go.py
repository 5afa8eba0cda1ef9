"""compose-go, which reads compose files as `docker compose` does: `make test-tools` builds it into `.tools/bin`."""

from pathlib import Path

from tests.support import golang

PROGRAM = golang.TOOLS / "compose-check"
_SOURCE = Path(__file__).parent / "compose"


def is_there() -> bool:
    return PROGRAM.is_file()


def build() -> None:
    """Build it; Go keeps the old one if that fails."""
    golang.build("build", "-o", PROGRAM, ".", cwd=_SOURCE)
