"""The whole table of cases through every door, over files on a disk and in S3."""

import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from domain.principal import Scope
from lighterage.exchange import Exchange
from tests.support.graphql_client import serve
from tests.support.length import IS_LONG
from tests.support.product import FakeClock, open_world
from tests.support.query_cases import DATA, Case, cases
from tests.support.query_doors import DOORS, Doors, file_name, is_as_expected
from tests.support.query_run import NOW
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, s3_server

__all__ = ["s3_server"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

STORES = ["directory", "S3"]
ASKED_MIN = {"GraphQL": 0.9, "GraphQL stream": 0.9}
"""The share of cases that a door must be able to ask: all, but GraphQL has no word for some ways to read CSV."""


@pytest.fixture(scope="session", params=STORES)
async def doors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[tuple[Doors, str, str], None]:
    """The doors of a server over one store, the store, and the moment at which the server's clock stands."""
    settings: dict[str, object] = {"graphql": True, "query_workers": 1, "query_threads": 1, "creation_rate": "off"}
    if request.param == "S3":
        server: S3Server = request.getfixturevalue("s3_server")
        settings |= {
            "s3_endpoint": server.endpoint,
            "s3_bucket": server.make_bucket(f"doors-{secrets.token_hex(4)}"),
            "s3_access_key_id": ACCESS_KEY,
            "s3_secret_access_key": SECRET_KEY,
        }
    # boto3 signs with the time that it is.
    clock = FakeClock(datetime.now(UTC).replace(microsecond=123_000))
    async with open_world(tmp_path_factory.mktemp("doors"), clock=clock, **settings) as world:
        for name, (content, _) in DATA.items():
            await world.anna.upload(content, name=file_name(name))
        files = {file.name: file for file in await world.files_of(world.anna)}
        keys = world.product.services.keys
        pair = await keys.create(
            world.anna.principal, name="boto", scopes=[Scope.FILES_QUERY], expires_at=None, client="test"
        )
        async with serve(Exchange(world.app)) as address:  # type: ignore[arg-type]
            yield (
                Doors(
                    f"http://{address}",
                    world.anna.session.access_token,
                    pair.key.access_key_id,
                    pair.secret,
                    {name: files[file_name(name)] for name in DATA},
                ),
                request.param,
                clock.now().strftime("%Y-%m-%dT%H:%M:%S.123Z"),
            )


@pytest.mark.parametrize("door", DOORS)
async def test_every_case_passes_every_door_R000_28(doors: tuple[Doors, str, str], door: str) -> None:
    """A query means the same wherever it comes in and wherever the file lies."""
    asked, store, now = doors
    table = [_at(case, now) for case in cases()]
    if not IS_LONG:
        # Each case by one door of each store, by another at each; `make test-long` asks all of them everywhere.
        table = table[(list(DOORS).index(door) + STORES.index(store)) % len(DOORS) :: len(DOORS)]
    found = await DOORS[door](asked, table)
    wrong = [
        (case.sql, case.expected, one)
        for case, one in zip(table, found, strict=True)
        if one is not None and not is_as_expected(one, case.expected)
    ]

    assert wrong == []
    assert sum(one is not None for one in found) >= ASKED_MIN.get(door, 1) * len(table)


def _at(case: Case, now: str) -> Case:
    """The case at another moment than that of the table."""
    if "UTCNOW" not in case.sql:
        return case
    return Case(case.source, case.name, case.sql, case.expected.replace(NOW, now).replace(NOW[:4], now[:4]))
