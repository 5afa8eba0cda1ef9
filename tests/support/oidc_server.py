"""An OpenID provider of others (npm's `oidc-provider`), for tests to get tokens from."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.sources import ROOT

FOLDER = ROOT / "tests" / "support" / "oidc"
MISSING = "needs Node.js 20+ and npm: make test-tools"


def is_there() -> bool:
    return shutil.which("node") is not None and (FOLDER / "node_modules" / "oidc-provider").is_dir()


def fetch() -> None:
    command = ["npm", "--prefix", str(FOLDER), "ci", "--ignore-scripts", "--no-progress", "--loglevel", "error"]
    subprocess.run(command, check=True)


@contextmanager
def running() -> Iterator[str]:
    """Start it on a free port; gives its issuer."""
    command = ["node", str(FOLDER / "server.mjs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            issuer = server.stdout.readline().strip()
            assert issuer.startswith("http://127.0.0.1:"), "the provider did not start"
            yield issuer
        finally:
            server.terminate()
