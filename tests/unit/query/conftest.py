"""One engine connection for all tests that need no worker process."""

from collections.abc import Iterator

import pytest

from tests.support.query_run import Bench


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()
