"""The REST interface, asked by tools of others that know nothing but its description."""

import base64
import os
from pathlib import Path

import pytest

from tests.support import fuzzer, newman, postman
from tests.support.product_server import EMAIL, PASSWORD, serving

IS_LONG = os.environ.get("LIGHTERAGE_TEST_LONG") == "1"
SETTINGS = {
    "LIGHTERAGE_BASIC_AUTH": "true",
    "LIGHTERAGE_VERIFY_EMAIL": "false",
    "LIGHTERAGE_FSYNC": "false",
    "LIGHTERAGE_GRAPHQL": "false",
    "OPEN_USERS": "true",
    "LIGHTERAGE_QUERY_WORKERS": "1",
    **dict.fromkeys(("LIGHTERAGE_LOG_IN_RATE", "LIGHTERAGE_ADDRESS_RATE", "LIGHTERAGE_MAIL_RATE"), "off"),
    "LIGHTERAGE_CREATION_RATE": "off",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("rest") / "data", **SETTINGS) as server:
        yield server.url


@pytest.mark.skipif(not newman.is_there(), reason=newman.MISSING)
def test_postman_collection_runs_R000_31_R000_32(url):
    """Every operation in turn, against a real server without GraphQL; each answers as documented."""
    code, report = newman.run(
        postman.FOLDER / "collection.json", postman.FOLDER / "local.json", baseUrl=url, email=EMAIL, password=PASSWORD
    )

    assert code == 0, report[-6000:]


@pytest.mark.skipif(not fuzzer.is_there(), reason=fuzzer.MISSING)
@pytest.mark.timeout(600)
@pytest.mark.long
def test_what_the_description_allows_and_more_is_answered_as_documented_R000_34(url, tmp_path: Path):
    """Examples, the edges of every schema, random requests: no 5xx, no status, type or shape that is not told of."""
    pair = base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode()
    options = ("--phases", "examples,coverage,fuzzing", "--max-examples", "10" if IS_LONG else "3")
    code, report = fuzzer.run(url, authorization=f"Basic {pair}", folder=tmp_path, options=options)

    assert code == 0, report[-8000:]
