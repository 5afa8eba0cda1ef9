"""Receipts: what was received, stated so that anybody can check it, and nothing else passes."""

import base64
import json

import pytest
from typer.testing import CliRunner

from auth.receipts import read_receipt
from domain.errors import InvalidValue
from lighterage.cli import app
from tests.support.product import NOON, http_client, open_world, sha256

CONTENT = b"a,b\n1,2\n"


@pytest.fixture
async def given(world, anna):
    await anna.upload(CONTENT, name="größe.csv")
    file = await world.file_of(anna)
    async with anna.http as http:
        answer = await http.get(f"/api/v1/files/{file.id}/receipt")
        keys = await http.get("/.well-known/jwks.json")
    return answer, keys.json(), file


async def test_receipt_states_name_size_digest_and_time(given):
    answer, keys, file = given
    stated = read_receipt(answer.text, keys)

    assert (200, "application/jose") == (answer.status_code, answer.headers["content-type"])
    assert (file.id, "größe.csv", len(CONTENT), sha256(CONTENT)) == (
        stated.file_id,
        stated.name,
        stated.size,
        stated.sha256,
    )
    assert (NOON, "http://test") == (stated.at, stated.issuer)


async def test_command_checks_a_file_without_the_server(given, tmp_path):
    """Exit code 0 for the file, 1 for any other, for a receipt that was changed, and for another server's keys."""
    answer, keys, _ = given
    (tmp_path / "copy").write_bytes(CONTENT)
    (tmp_path / "other").write_bytes(CONTENT.replace(b"2", b"3"))
    (tmp_path / "receipt").write_text(answer.text)
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    async with open_world(tmp_path / "elsewhere") as elsewhere:
        (tmp_path / "foreign.json").write_text(json.dumps(elsewhere.product.tokens.jwks()))

    def run(name: str, receipt: str = "receipt", keys: str = "jwks.json"):
        paths = [str(tmp_path / name), str(tmp_path / receipt), "--keys", str(tmp_path / keys)]
        return CliRunner().invoke(app, ["verify", "--json", *paths])

    right = run("copy")
    assert (0, sha256(CONTENT)) == (right.exit_code, json.loads(right.stdout)["sha256"])
    other = run("other")
    assert (1, True) == (other.exit_code, "is not what the receipt states" in other.output)
    assert 1 == run("copy", keys="foreign.json").exit_code
    assert 1 == run("copy", receipt="copy").exit_code


def changed(receipt: str, **claims: object) -> str:
    head, content, signature = receipt.strip().split(".")
    read = json.loads(base64.urlsafe_b64decode(content + "=="))
    written = base64.urlsafe_b64encode(json.dumps(read | claims).encode()).decode().rstrip("=")
    return f"{head}.{written}.{signature}"


async def test_nothing_else_passes_for_a_receipt(given, anna):
    """A changed one, one without a signature, a log-in's token, rubbish."""
    answer, keys, _ = given
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"lighterage-receipt+jws","kid":"key_1"}').decode()
    content = answer.text.split(".")[1]
    bad = [
        changed(answer.text, size=9),
        f"{unsigned.rstrip('=')}.{content}.",
        anna.session.access_token,
        "x.y.z",
        "",
        "é" * 20_000,
    ]
    for text in bad:
        with pytest.raises(InvalidValue):
            read_receipt(text, keys)
    with pytest.raises(InvalidValue):
        read_receipt(answer.text, {})


async def test_same_file_has_the_same_receipt(given, anna):
    """So it need not be kept here, and can be fetched again."""
    answer, _, file = given
    async with anna.http as http:
        again = await http.get(f"/api/v1/files/{file.id}/receipt")

    assert answer.text == again.text


async def test_receipt_waits_for_the_digest_but_not_for_processing(tmp_path):
    """The bytes were received, whatever is done with them."""
    async with open_world(tmp_path) as world:
        await world.anna.upload(b"x" * (2**20 + 1), collection="maps")
        file = await world.file_of(world.anna)
        async with world.anna.http as http:
            early = await http.get(f"/api/v1/files/{file.id}/receipt")
            await world.product.maintenance.run_once()
            given = await http.get(f"/api/v1/files/{file.id}/receipt")

    assert ((409, "file_not_ready"), 200) == ((early.status_code, early.json()["code"]), given.status_code)


async def test_receipt_is_for_who_may_see_the_file(world, bert, given):
    _, _, file = given
    async with bert.http as http, http_client(world.app) as guest:
        assert 404 == (await http.get(f"/api/v1/files/{file.id}/receipt")).status_code
        assert 401 == (await guest.get(f"/api/v1/files/{file.id}/receipt")).status_code
