"""
What tests need beside Python packages: `python -m tests.support.tools` fetches or builds what is missing.

It runs before pytest (`make test-tools`), for a build takes longer than a test may, and one at a time. Where a tool
cannot be had it says so and goes on: the tests that need it skip, or fail where CI is set.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.support import actionlint, clients, compose_go, fuzzer, helm, mongo_server, newman, oidc_server, s3
from tests.support.sources import ROOT

_LOCK = ROOT / ".tools" / ".lock"


class Tool(NamedTuple):
    """
    Something to be got once.

    Attributes:
        is_for_ci: It takes minutes, which nobody should wait for before their first test: got where CI is set.
    """

    name: str
    is_there: Callable[[], bool]
    get: Callable[[], None]
    is_for_ci: bool = False


TOOLS = (
    Tool("versitygw, an S3 server", lambda: s3.find() is not None, s3.build),
    Tool("mongo-java-server, a MongoDB server", mongo_server.is_there, mongo_server.fetch),
    Tool("compose-go, to read docker-compose.yml", compose_go.is_there, compose_go.build),
    Tool("actionlint, to read workflows", actionlint.is_there, actionlint.build),
    Tool("Helm, to render the chart", lambda: helm.find() is not None, helm.build, is_for_ci=True),
    Tool("upload clients for Node.js and browsers", clients.are_there, clients.fetch),
    Tool("oidc-provider, an OpenID provider", oidc_server.is_there, oidc_server.fetch),
    Tool("newman, which runs Postman collections", newman.is_there, newman.fetch),
    Tool("schemathesis, which asks what an OpenAPI document allows", fuzzer.is_there, fuzzer.fetch),
)


def get(tool: Tool) -> None:
    """Get a tool unless it is there, and say what was done."""
    if tool.is_there() or (tool.is_for_ci and not os.environ.get("CI")):
        return
    print(f"test-tools: getting {tool.name}; this is done once.", flush=True)
    began = time.monotonic()
    try:
        tool.get()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"test-tools: no {tool.name}: {error}", file=sys.stderr, flush=True)
    else:
        print(f"test-tools: took {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    _LOCK.parent.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for tool in TOOLS:
            get(tool)


if __name__ == "__main__":
    main()
