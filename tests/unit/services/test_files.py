"""Files: listing a page at a time, changing, the trash, and hearing of every change once."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Conflict, CursorInvalid, CursorTooOld, InvalidValue, NotFound, PermissionDenied
from domain.event import FILE_EVENTS, FileEventAction
from domain.file import MetadataEntry, Resource, Visibility
from domain.page import Order, PageRequest
from domain.principal import Principal
from domain.tenant import TenantRole
from services.files import DELETE_MAX, UNCHANGED, FileChanges, FileOrder, FileOrderField, FileQuery, _cursor, _position


@pytest.fixture
def files(world):
    return world.product.services.files


@pytest.fixture
def anna(world):
    return world.anna.principal


@pytest.fixture
async def file(world):
    await world.anna.upload(b"hello", name="Größe.csv")
    return await world.file_of(world.anna)


async def names(files, principal, **query) -> list[str]:
    page = await files.list_files(principal, FileQuery(**query))
    return [file.name for file in page.page.items]


# ---- lists


async def test_pages_follow_each_other_without_gap_or_repetition(world, files, anna):
    """Also when a file is added between two pages."""
    for number in range(7):
        await world.anna.upload(b"x", name=f"{number}.txt")
    by_name = FileQuery(order=FileOrder(FileOrderField.NAME, descending=False))
    first = await files.list_files(anna, by_name, first=3)
    await world.anna.upload(b"x", name="00.txt")
    after = first.cursor_of(first.page.items[-1])
    second = await files.list_files(anna, by_name, first=3, after=after)
    back = await files.list_files(anna, by_name, last=2, before=second.cursor_of(second.page.items[0]))

    assert ["0.txt", "1.txt", "2.txt"] == [file.name for file in first.page.items]
    assert ["3.txt", "4.txt", "5.txt"] == [file.name for file in second.page.items]
    assert ["1.txt", "2.txt"] == [file.name for file in back.page.items]
    with pytest.raises(CursorInvalid):
        await files.list_files(anna, FileQuery(), first=3, after=after)


async def test_filters_narrow_a_list(world, files, anna, file):
    """Each alone; together they all hold."""
    await world.anna.upload(b"%PDF-1.7 and more", name="report.pdf")
    matching = {
        "search": "GRÖSS",
        "name_eq": "Größe.csv",
        "name_prefix": "Gr",
        "content_type_eq": "text/csv",
        "content_type_prefix": "text/",
        "size_max": 5,
        "sha256": file.sha256,
    }
    for field, value in matching.items():
        assert ["Größe.csv"] == await names(files, anna, **{field: value}), field
    assert ["Größe.csv"] == await names(files, anna, search="größe", size_min=5)
    assert [] == await names(files, anna, search="größe", size_min=6)
    assert [] == await names(files, anna, deleted=True)


async def test_private_file_is_for_its_uploader_and_admins(world, files, anna, file):
    """Another member of the tenant finds it only once it is shared with the tenant."""
    member = Principal("user_x", anna.tenant_id, TenantRole.MEMBER, anna.scopes)  # type: ignore[arg-type]
    assert [] == await names(files, member)
    with pytest.raises(NotFound):
        await files.get(member, file.id)
    await files.update(anna, file.id, FileChanges(visibility=Visibility.TENANT), if_version=None)

    assert ["Größe.csv"] == await names(files, member)
    with pytest.raises(PermissionDenied):
        await files.update(member, file.id, FileChanges(name="mine"), if_version=None)


# ---- changes


async def test_change_names_what_it_changes_and_nothing_else(files, anna, file):
    """None clears, UNCHANGED leaves."""
    resource, entry = Resource("product", "1"), MetadataEntry("a", "b")
    changed = await files.update(anna, file.id, FileChanges(resource=resource, metadata=(entry,)), if_version=1)
    cleared = await files.update(anna, file.id, FileChanges(resource=None), if_version=2)

    assert (resource, (entry,), file.name) == (changed.resource, changed.metadata, changed.name)
    assert (None, (entry,), 3) == (cleared.resource, cleared.metadata, cleared.revision)
    assert cleared == await files.get(anna, file.id)
    assert FileChanges().name is UNCHANGED


async def test_change_of_another_version_is_refused(files, anna, file):
    """What the caller looked at is not there any more."""
    await files.update(anna, file.id, FileChanges(name="b"), if_version=1)
    with pytest.raises(Conflict):
        await files.update(anna, file.id, FileChanges(name="c"), if_version=1)
    with pytest.raises(InvalidValue):
        await files.update(anna, file.id, FileChanges(name=" "), if_version=None)

    assert "b" == (await files.get(anna, file.id)).name


async def test_batch_tells_of_each_file_what_became_of_it(world, files, anna, file):
    """One that is not there, and one that may not be deleted, do not stop the others."""
    member = Principal("user_x", anna.tenant_id, TenantRole.MEMBER, anna.scopes)  # type: ignore[arg-type]
    await files.update(anna, file.id, FileChanges(visibility=Visibility.TENANT), if_version=None)
    refused = await files.delete(member, [file.id, "file_x"])  # type: ignore[list-item]
    done = await files.delete(anna, ["file_x", file.id])  # type: ignore[list-item]
    again = await files.delete(anna, [file.id])
    with pytest.raises(InvalidValue):
        await files.delete(anna, [file.id] * (DELETE_MAX + 1))

    assert [PermissionDenied, NotFound] == [type(one) for one in refused]
    assert (NotFound, file.id) == (type(done[0]), done[1].id)
    assert done[1] == again[0]
    assert [None] == [one.deleted_at for one in await files.restore(anna, [file.id])]


async def test_link_is_made_only_for_what_can_be_read(world, files, anna, file):
    """A time in range, a file that is ready and not in the trash."""
    for seconds in (0, -1, 7 * 86400 + 1):
        with pytest.raises(InvalidValue):
            await files.download_url(anna, file, ttl_seconds=seconds, inline=False)
    gone = replace(file, deleted_at=world.clock.now())
    expired = replace(file, expires_at=world.clock.now())

    assert await files.download_url(anna, gone, ttl_seconds=60, inline=False) is None
    assert await files.download_url(anna, expired, ttl_seconds=60, inline=False) is None


# ---- events


async def take(stream, count: int) -> list[tuple[str, FileEventAction]]:
    """Take so many events, as cursor and action."""
    found = []
    async with aclosing(stream):
        while len(found) < count:
            cursor, event, _ = await asyncio.wait_for(anext(stream), 5)
            found.append((cursor, event.action))
    return found


async def cursor_at_the_beginning(world) -> str:
    """Give the cursor of the first event there is."""
    events = world.product.records.collection(FILE_EVENTS)
    page = await events.list(world.anna.tenant_id, order=Order("number"), page=PageRequest(1))
    return _cursor(world.anna.tenant_id, _position(page.items[0]))


async def test_every_change_is_heard_once_and_in_order(world, files, anna, file):
    """Whoever comes back with a cursor gets all that came since, then what comes."""
    first = await cursor_at_the_beginning(world)
    await files.update(anna, file.id, FileChanges(name="b"), if_version=None)
    await files.delete(anna, [file.id])
    await files.restore(anna, [file.id])
    heard = await take(files.events(anna, after=first), 3)
    later = await take(files.events(anna, after=heard[0][0]), 2)

    updated, deleted, restored = FileEventAction.UPDATED, FileEventAction.DELETED, FileEventAction.RESTORED
    assert [updated, deleted, restored] == [action for _, action in heard]
    assert heard[1:] == later


async def test_events_are_filtered_by_what_is_asked_for(world, files, anna, file):
    """Actions, files and resources."""
    first = await cursor_at_the_beginning(world)
    await files.update(anna, file.id, FileChanges(resource=Resource("product", "1")), if_version=None)
    await files.delete(anna, [file.id])
    streams = [
        files.events(anna, after=first, actions=[FileEventAction.DELETED]),
        files.events(anna, after=first, file_ids=[file.id]),
        files.events(anna, after=first, resource=("product", None)),
        files.events(anna, after=first, resource=("product", ["1"])),
    ]
    heard = [(await take(stream, 1))[0][1] for stream in streams]

    updated = FileEventAction.UPDATED
    assert [FileEventAction.DELETED, updated, updated, updated] == heard


async def test_private_events_are_not_for_other_members(world, files, anna, file):
    """They hear of the first thing that they may see."""
    member = Principal("user_x", anna.tenant_id, TenantRole.MEMBER, anna.scopes)  # type: ignore[arg-type]
    first = await cursor_at_the_beginning(world)
    await files.update(anna, file.id, FileChanges(name="secret"), if_version=None)
    await files.update(anna, file.id, FileChanges(visibility=Visibility.TENANT), if_version=None)
    stream = files.events(member, after=first)
    async with aclosing(stream):
        _, event, seen = await asyncio.wait_for(anext(stream), 5)

    assert 3 == int(event.id.rpartition(".")[2])
    assert file.id == seen.id


async def test_cursor_older_than_what_is_kept_is_refused(world, files, anna, file):
    """Silence would look like "nothing happened"."""
    first = await cursor_at_the_beginning(world)
    world.clock.advance(seconds=timedelta(days=8).total_seconds())
    for name in ("b", "c"):
        await files.update(anna, file.id, FileChanges(name=name), if_version=None)
        world.clock.advance(seconds=timedelta(days=8 if name == "b" else 0).total_seconds())
    await world.product.maintenance.forget_events()
    with pytest.raises(CursorTooOld):
        await take(files.events(anna, after=first), 1)
    with pytest.raises(CursorInvalid):
        await take(files.events(anna, after="nonsense"), 1)
