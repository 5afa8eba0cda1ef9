"""Files over GraphQL and the real services: narrowing lists, versions, purging, and changes that meet each other."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from domain.file import File, FileStatus, MetadataEntry
from domain.ids import FileId
from services.files import FileChanges
from tests.app.test_product_graphql import ask
from tests.support.product import World, open_world

LIST = "query ($filter: FileFilter) { tenant { files(filter: $filter) { totalCount nodes { name status } } } }"
PURGE = "mutation ($input: PurgeFilesInput!) { purgeFiles(input: $input) { purgedFileIds userErrors { path code } } }"
CREATE = """mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  upload { id status } userErrors { path code } } }"""
RESTORE = """mutation ($input: RestoreFileVersionInput!) { restoreFileVersion(input: $input) {
  file { size versions { nodes { id number isCurrent size } } } userErrors { path code } } }"""
VERSIONS = "query ($id: ID!) { file(id: $id) { version versions { nodes { id number isCurrent size sha256 } } } }"
UPDATE = """mutation ($input: UpdateFileInput!) { updateFile(input: $input) {
  file { name version } userErrors { path code } } }"""
NODE = "query ($id: ID!) { node(id: $id) { id ... on FileVersion { number downloadUrl } } }"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with open_world(tmp_path, graphql=True) as opened:
        yield opened


async def names(world, caller, **wanted):
    answer = await ask(world, LIST, caller.session.access_token, filter=wanted)
    return {node["name"] for node in answer["data"]["tenant"]["files"]["nodes"]}


async def test_list_is_narrowed_by_what_was_noted(world, anna):
    """Every entry that is asked for, to the letter: neither another value nor a part of one."""
    await anna.upload(b"1", name="a", colour="Red", size="small")
    await anna.upload(b"2", name="b", colour="red", size="small")
    await anna.upload(b"3", name="c", colour="re", d="d")
    entry = lambda key, value: {"key": key, "value": value}  # noqa: E731

    assert {"a"} == await names(world, anna, metadata=[entry("colour", "Red")])
    assert {"a", "b"} == await names(world, anna, metadata=[entry("size", "small")])
    assert {"b"} == await names(world, anna, metadata=[entry("size", "small"), entry("colour", "red")])
    assert set() == await names(world, anna, metadata=[entry("colour", "ed")])
    assert set() == await names(world, anna, metadata=[entry("colou", "rred")])


def test_mark_tells_entries_apart():
    """Where key and value meet makes a difference."""
    assert MetadataEntry("ab", "c").mark != MetadataEntry("a", "bc").mark


async def test_trash_is_a_status(world, anna):
    """What is in it is DELETED, whatever it was before; of what is not, nothing is."""
    await anna.upload(b"1", name="kept")
    await anna.upload(b"2", name="gone")
    (gone,) = [file for file in await world.files_of(anna) if file.name == "gone"]
    await world.product.services.files.delete(anna.principal, [FileId(gone.id)])
    token = anna.session.access_token
    trash = (await ask(world, LIST, token, filter={"status": ["DELETED"]}))["data"]["tenant"]["files"]

    assert {"totalCount": 1, "nodes": [{"name": "gone", "status": "DELETED"}]} == trash
    assert {"kept"} == await names(world, anna, status=["READY", "DELETED"])
    assert {"gone"} == await names(world, anna, status=["READY", "DELETED"], deleted=True)
    assert set() == await names(world, anna, status=["READY"], deleted=True)
    assert set() == await names(world, anna, status=["UPLOADING"])
    assert FileStatus.READY is gone.status


async def test_version_is_added_listed_and_chosen_again(world, anna):
    """All of it over GraphQL; the lock's version and the content's number are two things."""
    token = anna.session.access_token
    await anna.upload(b"one")
    file = await world.file_of(anna)
    begun = await ask(world, CREATE, token, input={"name": "x", "size": 0, "fileId": file.id})
    listed = (await ask(world, VERSIONS, token, id=file.id))["data"]["file"]["versions"]["nodes"]
    node = (await ask(world, NODE, token, id=listed[1]["id"]))["data"]["node"]
    restored = await ask(world, RESTORE, token, input={"fileId": file.id, "versionId": listed[1]["id"]})
    again = await ask(world, RESTORE, token, input={"fileId": file.id, "versionId": listed[1]["id"]})

    assert "COMPLETED" == begun["data"]["createUpload"]["upload"]["status"]
    assert [(2, True, 0), (1, False, 3)] == [(one["number"], one["isCurrent"], one["size"]) for one in listed]
    assert file.sha256 == listed[1]["sha256"]
    assert (1, True) == (node["number"], node["downloadUrl"].startswith("http"))
    after = restored["data"]["restoreFileVersion"]["file"]
    assert [(3, True, 3), (2, False, 0)] == [
        (one["number"], one["isCurrent"], one["size"]) for one in after["versions"]["nodes"]
    ]
    assert [{"path": ["versionId"], "code": "NOT_FOUND"}] == again["data"]["restoreFileVersion"]["userErrors"]


async def test_purged_file_is_gone(world, anna, bert):
    """Each that is not is told with its place."""
    await anna.upload(b"one")
    file = await world.file_of(anna)
    foreign = await ask(world, PURGE, bert.session.access_token, input={"fileIds": [file.id]})
    answer = await ask(world, PURGE, anna.session.access_token, input={"fileIds": ["file_x", file.id, file.id]})

    assert [{"path": ["fileIds", "0"], "code": "NOT_FOUND"}] == foreign["data"]["purgeFiles"]["userErrors"]
    assert [file.id] == answer["data"]["purgeFiles"]["purgedFileIds"]
    assert [["fileIds", "0"], ["fileIds", "2"]] == [one["path"] for one in answer["data"]["purgeFiles"]["userErrors"]]
    assert [] == await world.files_of(anna)


async def test_of_changes_with_one_version_one_happens(world, anna):
    """The others are told, and nothing of them is left."""
    await anna.upload(b"one")
    file = await world.file_of(anna)
    token = anna.session.access_token
    answers = await asyncio.gather(
        *(
            ask(world, UPDATE, token, input={"fileId": file.id, "ifVersion": file.revision, "name": f"name {n}"})
            for n in range(6)
        )
    )
    outcomes = [answer["data"]["updateFile"] for answer in answers]
    (winner,) = [one["file"] for one in outcomes if one["file"] is not None]

    assert ["CONFLICT"] * 5 == [one["userErrors"][0]["code"] for one in outcomes if one["file"] is None]
    assert (winner["name"], winner["version"]) == ((now := await world.file_of(anna)).name, now.revision)


async def test_deleting_restoring_and_changing_at_once_leave_a_whole_file(world, anna):
    """Whoever comes second is told so or finds it done; the file is as one of them left it."""
    files = world.product.services.files
    await anna.upload(b"one", name="before")
    file = await world.file_of(anna)
    ids = [FileId(file.id)]

    async def rename(n: int) -> File | Exception:
        try:
            return await files.update(anna.principal, ids[0], FileChanges(name=f"name {n}"), if_version=None)
        except Exception as error:
            return error

    for n in range(5):
        outcomes = await asyncio.gather(
            files.delete(anna.principal, ids),
            files.restore(anna.principal, ids),
            rename(n),
            files.delete(anna.principal, ids),
        )
        flat = [one[0] if isinstance(one, list) else one for one in outcomes]
        changed = [one for one in flat if isinstance(one, File)]
        refused = [one for one in flat if not isinstance(one, File)]
        assert changed
        assert {"conflict", "file_deleted"} >= {one.code for one in refused}
        (now,) = await world.files_of(anna)
        assert now in changed
    assert (1, 3) == ((usage := await world.usage_of(anna)).file_count, usage.bytes_total)
