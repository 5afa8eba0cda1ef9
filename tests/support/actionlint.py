"""actionlint, which reads GitHub's workflows: `make test-tools` builds it into `.tools/bin`."""

from tests.support import golang

MODULE = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
PROGRAM = golang.TOOLS / "actionlint"


def is_there() -> bool:
    return PROGRAM.is_file()


def build() -> None:
    """Build it; Go keeps the old one if that fails."""
    golang.build("install", MODULE)
