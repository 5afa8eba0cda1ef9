"""Results that are kept as files: by every door, and nothing of what breaks off."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from domain.errors import StoreUnavailable, UploadExpired
from domain.file import FileStatus, Visibility
from domain.ids import id_of_uuid
from domain.upload import NewUpload
from lighterage.querying import Asked, QueryFault, answers
from services.reading import OutputFormat, Select
from services.saving import SavingService
from tests.app.sql.conftest import PEOPLE, Server
from tests.support.product import sha256

pytestmark = pytest.mark.slow

OSLO = "SELECT s.name, s.age FROM S3Object s WHERE s.city = 'Oslo'"
MUTATION = """
mutation ($input: SaveResultInput!) {
  saveResult(input: $input) { file { id name size sha256 } stats { rowsReturned } userErrors { path code message } }
}
"""


@pytest.fixture
async def kept(server: Server) -> set[str]:
    """What was there before, by id."""
    return {file.id for file in await server.world.files_of(server.world.anna)}


async def new_file(server: Server, before: set[str]):
    (file,) = [file for file in await server.world.files_of(server.world.anna) if file.id not in before]
    return file


async def nothing_is_left(server: Server, before: set[str]) -> bool:
    """No file, no open upload, no room taken."""
    anna = server.world.anna
    uploads = await server.world.uploads_of(anna)
    usage = await server.world.usage_of(anna)
    return (
        {file.id for file in await server.world.files_of(anna)} == before
        and not any(upload.status.is_open for upload in uploads)
        and usage.bytes_in_flight == 0
    )


async def keep(server: Server, file, **body):
    async with server.http() as http:
        return await http.post(f"/api/v1/files/{file.id}/results", json=body)


async def test_result_is_kept_over_rest_R000_25(server: Server, kept):
    """It lands like any upload: digest, size, type, quota and event, and can be asked in its turn."""
    used = (await server.world.usage_of(server.world.anna)).bytes_total
    answer = await keep(server, server.people, sql=OSLO, name="oslo.csv", output={"header": True})
    file = await new_file(server, kept)
    content = b"name,age\nAnna,31\nCleo,62\n"

    assert (answer.status_code, answer.json()["stats"]["rows_returned"]) == (201, 2)
    assert answer.headers["location"] == f"/api/v1/files/{answer.json()['id']}/content"
    assert await server.world.content_of(file) == content
    assert (file.size, file.sha256, file.content_type) == (len(content), sha256(content), "text/csv")
    assert (file.status, file.visibility, file.name) == (FileStatus.READY, Visibility.PRIVATE, "oslo.csv")
    assert (await server.world.usage_of(server.world.anna)).bytes_total == used + len(content)
    assert (await server.ask("SELECT s.age FROM S3Object s", file)).text == "31\n62\n"


async def test_result_is_kept_over_graphql(server: Server, kept):
    """The mutation gives the file as every other field does."""
    variables = {
        "input": {
            "select": {"fileId": server.people.id, "sql": OSLO},
            "name": "oslo.jsonl",
            "format": "JSON_LINES",
        }
    }
    async with server.http() as http:
        answer = (await http.post("/graphql", json={"query": MUTATION, "variables": variables})).json()
    file = await new_file(server, kept)
    content = b'{"name":"Anna","age":"31"}\n{"name":"Cleo","age":"62"}\n'

    assert await server.world.content_of(file) == content
    assert answer["data"]["saveResult"] == {
        "file": {"id": file.id, "name": "oslo.jsonl", "size": len(content), "sha256": sha256(content)},
        "stats": {"rowsReturned": 2},
        "userErrors": [],
    }


async def test_result_is_kept_by_the_command(server: Server, kept, tmp_path: Path):
    """It writes the new file's id; of a file on this machine there is nothing to keep on a server."""
    written: list[bytes] = []

    def ask(file: str) -> str:
        body = {"sql": OSLO, "input": {"header": "use"}, "output": {"format": "csv", "header": None}}
        token = server.world.anna.session.access_token
        return answers(Asked(file, body, server.url, token, save_as="oslo.csv"), written.append)

    took = await asyncio.to_thread(ask, server.people.id)
    file = await new_file(server, kept)
    (tmp_path / "here.csv").write_bytes(b"name,age,city\n")
    with pytest.raises(QueryFault, match="give its id"):
        ask(str(tmp_path / "here.csv"))

    assert id_of_uuid("file", UUID(b"".join(written).decode().strip())) == file.id
    assert took == f"2 records, 16 bytes; {len(PEOPLE)} bytes read"


async def test_empty_result_is_an_empty_file(server: Server, kept):
    """Nothing was found: that is a result."""
    answer = await keep(server, server.people, sql="SELECT * FROM S3Object s WHERE s.city = 'Rome'", name="rome.csv")
    file = await new_file(server, kept)

    assert (answer.status_code, file.size, file.status) == (201, 0, FileStatus.READY)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sql": "SELECT nothing FROM S3Object s", "name": "a.csv"}, 400, "sql_invalid"),
        ({"sql": OSLO}, 422, "invalid_value"),
        ({"sql": OSLO, "name": ""}, 422, "invalid_value"),
        ({"sql": OSLO, "name": "a.csv", "visibility": "all"}, 422, "invalid_value"),
        ({"sql": OSLO, "name": "a.csv", "output": {"format": "frames"}}, 422, "invalid_value"),
        ({"sql": OSLO, "name": "a.csv", "output": {"delimiter": ""}}, 400, "sql_invalid"),
    ],
)
async def test_what_cannot_be_kept_leaves_nothing(server: Server, kept, body, status, code):
    """Refused before anything is made."""
    answer = await keep(server, server.people, **body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await nothing_is_left(server, kept)


async def test_query_that_fails_late_leaves_nothing(server: Server, kept):
    """A megabyte was stored by then; nobody may take it for the result."""
    file = await server.upload(b"n\n" + b"1\n" * 1_000_000 + b"x\n", "late.csv")
    answer = await keep(server, file, sql="SELECT CAST(s.n AS INT) FROM S3Object s", name="late.csv")

    assert (answer.status_code, answer.json()["sql_code"]) == (400, "CastFailed")
    assert await nothing_is_left(server, kept | {file.id})


async def test_result_past_the_quota_leaves_nothing(server: Server, kept):
    """The tenant's bytes count while the result grows, not only at its end."""
    file = await server.upload(b"n\n" + b"0123456789\n" * 200_000, "long.csv")
    used = (await server.world.usage_of(server.world.anna)).bytes_total
    await server.world.limit(server.world.anna, stored_bytes_max=used + 500_000)
    server.world.clock.advance(seconds=5)  # limits are remembered for a moment
    try:
        answer = await keep(server, file, sql="SELECT * FROM S3Object", name="copy.csv")
    finally:
        await server.world.limit(server.world.anna)
        server.world.clock.advance(seconds=5)

    assert answer.json()["code"] == "quota_exceeded"
    assert await nothing_is_left(server, kept | {file.id})


async def test_others_file_cannot_be_kept(server: Server, kept):
    """Somebody else's file and none get the same answer."""
    async with server.http(server.world.bert) as http:
        body = {"sql": OSLO, "name": "a.csv"}
        theirs = await http.post(f"/api/v1/files/{server.people.id}/results", json=body)
        none = await http.post("/api/v1/files/file_0000000000000000000000000/results", json=body)

    assert [theirs.status_code, none.status_code] == [404, 404]
    assert {**theirs.json(), "request_id": ""} == {**none.json(), "request_id": ""}


class EndlessQueries:
    """Gives one record, and never the next."""

    def __init__(self) -> None:
        self.is_waiting, self.is_closed = asyncio.Event(), False

    async def select_text(self, *_: object) -> AsyncGenerator[bytes, None]:
        try:
            yield b"1\n"
            self.is_waiting.set()
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


async def test_whoever_gives_up_leaves_nothing(server: Server, kept):
    """A cancelled save takes its half of the file along, and ends its query."""
    queries, product = EndlessQueries(), server.world.product
    saving = SavingService(queries=queries, posting=product.services.posting)  # type: ignore[arg-type]
    new = NewUpload(name="half.csv")
    task = asyncio.create_task(
        saving.save(server.world.anna.principal, server.people.id, Select(OSLO), OutputFormat(), new)
    )
    await queries.is_waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert queries.is_closed
    assert await nothing_is_left(server, kept)


async def test_result_that_is_stopped_keeps_no_half(server: Server, kept):
    """By whoever ends its upload, or by a server that goes: what came is whole records, but not all of them."""
    queries, product = EndlessQueries(), server.world.product
    saving = SavingService(queries=queries, posting=product.services.posting)  # type: ignore[arg-type]
    new = NewUpload(name="half.csv")
    task = asyncio.create_task(
        saving.save(server.world.anna.principal, server.people.id, Select(OSLO), OutputFormat(), new)
    )
    await queries.is_waiting.wait()
    (upload,) = [one for one in await server.world.uploads_of(server.world.anna) if one.status.is_open]
    with suppress(UploadExpired):  # whoever is first drops it
        await product.services.uploads.terminate(server.world.anna.principal, upload.id)
    with pytest.raises(StoreUnavailable):
        await task

    assert queries.is_closed
    assert await nothing_is_left(server, kept)
