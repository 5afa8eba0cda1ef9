"""What is SQLite's alone: locks, full disks, signals of change, life."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.records.sqlite import SqliteRecords, table, writer
from adapters.records.sqlite import collection as collection_module
from adapters.records.sqlite import records as records_module
from adapters.records.sqlite.writer import Gate, Writer
from domain.errors import Conflict, NotFound, StoreFull, StoreUnavailable
from domain.page import Condition, Order, PageRequest, Position, below, equals, one_of
from domain.records import Add, Increment, Save
from tests.support.records import KINDS, PARCELS, TALLIES, State, Tally, at, parcel

TENANT = "tenant_a"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
async def records(path: Path) -> AsyncIterator[SqliteRecords]:
    async with SqliteRecords.open(path, KINDS) as records:
        yield records


# ---- faults


async def check_unavailable(records: SqliteRecords) -> None:
    tallies = records.collection(TALLIES)
    with pytest.raises(StoreUnavailable):
        await tallies.add(Tally("refused", TENANT))
    with pytest.raises(StoreUnavailable):
        await records.ping()
    with pytest.raises(NotFound):
        await tallies.get(TENANT, "refused")


async def test_foreign_lock_is_waited_for_and_then_reported(
    records: SqliteRecords, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that holds a transaction stops writes, not reads; and all is well when it has ended."""
    monkeypatch.setattr(writer, "_FOREIGN_TIMEOUT_MS", 20)
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")

    await check_unavailable(records)

    shell.execute("ROLLBACK")
    shell.close()
    await records.collection(TALLIES).add(Tally("t", TENANT))
    await records.ping()


async def test_closed_gate_is_waited_for_and_then_reported(
    records: SqliteRecords, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was refused while another process hung does not happen later."""
    monkeypatch.setattr(writer, "GATE_TIMEOUT_SECONDS", 0.02)
    other = Gate(path.with_name("records.db-gate"))
    other.enter()

    await check_unavailable(records)

    other.close()
    await records.collection(TALLIES).add(Tally("t", TENANT))
    assert await records.collection(TALLIES).count(TENANT) == 1


async def test_full_disk_refuses_the_group_and_keeps_what_was(records: SqliteRecords) -> None:
    """Once there is room again, writes go on."""
    tallies, parcels = records.collection(TALLIES), records.collection(PARCELS)
    kept = await tallies.add(Tally("kept", TENANT))
    pages = records._writing.execute("PRAGMA page_count").fetchone()[0]
    records._writing.execute(f"PRAGMA max_page_count = {pages}")

    large = [parcels.add(parcel(str(number), seal=bytes(10_000))) for number in range(3)]
    answers = await asyncio.gather(tallies.add(Tally("small", TENANT)), *large, return_exceptions=True)

    assert [StoreFull] * 4 == [type(answer) for answer in answers]
    assert (await tallies.count(TENANT), await parcels.count(TENANT)) == (1, 0)
    records._writing.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert kept == await tallies.get(TENANT, "kept")
    assert (await parcels.add(parcel("one", seal=bytes(10_000)))).number == 1


async def test_file_that_is_no_database(path: Path) -> None:
    path.write_text("This is a text of some length, and no database at all. " * 100)

    with pytest.raises(StoreUnavailable):
        async with SqliteRecords.open(path, KINDS):
            pass

    assert path.read_text().startswith("This is a text")


async def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        async with SqliteRecords.open(tmp_path / "none" / "records.db", KINDS):
            pass


# ---- groups


async def test_later_refusal_undoes_what_went_before_it(records: SqliteRecords) -> None:
    """A file can keep this promise: all or none."""
    await records.collection(TALLIES).add(Tally("t", TENANT))

    with pytest.raises(Conflict):
        await records.write(
            Add(TALLIES, Tally("u", TENANT)), Add(PARCELS, parcel("one")), Add(TALLIES, Tally("t", TENANT))
        )

    assert (await records.collection(TALLIES).count(TENANT), await records.collection(PARCELS).count(TENANT)) == (1, 0)


async def test_write_refused_half_way_is_undone_alone(records: SqliteRecords) -> None:
    """Its neighbours in the transaction happen, once each, though the group was run twice for it."""
    tallies = records.collection(TALLIES)
    await tallies.add(Tally("t", TENANT))

    answers = await asyncio.gather(
        tallies.increment(TENANT, "t", {"count": 1}, once="a"),
        records.write(Increment(TALLIES, TENANT, "t", {"count": 100}), Add(TALLIES, Tally("t", TENANT))),
        records.write(Add(TALLIES, Tally("u", TENANT)), Add(TALLIES, Tally("t", TENANT))),
        tallies.increment(TENANT, "t", {"count": 1}, once="b"),
        tallies.add(Tally("v", TENANT)),
        return_exceptions=True,
    )

    assert [Tally, Conflict, Conflict, Tally, Tally] == [type(answer) for answer in answers]
    found = await tallies.get_many(TENANT, ["t", "u", "v"])
    assert {"t": (2, 3), "v": (0, 1)} == {one.id: (one.count, one.revision) for one in found.values()}


async def test_increments_and_saves_of_one_group_see_each_other(records: SqliteRecords) -> None:
    """An increment is written down late, but never behind what comes after it."""
    tallies = records.collection(TALLIES)
    added = await tallies.add(Tally("t", TENANT))

    answers = await asyncio.gather(
        tallies.increment(TENANT, "t", {"count": 5}),
        tallies.increment(TENANT, "t", {"count": 5}, at_most={"count": 9}),
        tallies.save(replace(added, count=1), expected_revision=1),
        tallies.save(replace(added, count=2), expected_revision=2),
        tallies.increment(TENANT, "t", {"count": 1}),
        tallies.save(replace(added, count=7), expected_revision=4),
        tallies.increment(TENANT, "t", {"count": 1}),
        return_exceptions=True,
    )

    assert [Tally, Conflict, Conflict, Tally, Tally, Tally, Tally] == [type(answer) for answer in answers]
    assert Tally("t", TENANT, count=8, revision=6) == await tallies.get(TENANT, "t")


async def test_increment_to_a_taken_unique_value_is_refused_alone(records: SqliteRecords) -> None:
    """Its neighbours in the group happen."""
    parcels = records.collection(PARCELS)
    one = await parcels.add(parcel("one", shelf="S", slot=1))
    two = await parcels.add(parcel("two", shelf="S", slot=2))

    refused, done = await asyncio.gather(
        parcels.increment(TENANT, one.id, {"slot": 1}),
        parcels.increment(TENANT, two.id, {"size_bytes": 5}),
        return_exceptions=True,
    )

    assert isinstance(refused, Conflict)
    assert (one, done) == (await parcels.get(TENANT, one.id), await parcels.get(TENANT, two.id))


async def test_record_saved_twice_in_one_write(records: SqliteRecords) -> None:
    """It ends where two saves would have brought it; and where one of them would be refused, both are."""
    tallies = records.collection(TALLIES)
    one = await tallies.add(Tally("t", TENANT))

    await records.write(Save(TALLIES, replace(one, count=1), 1), Save(TALLIES, replace(one, count=2), 2))
    for first, second in ((1, 2), (3, 3), (4, 5)):
        with pytest.raises(Conflict):
            await records.write(Save(TALLIES, one, first), Save(TALLIES, one, second))

    assert Tally("t", TENANT, count=2, revision=3) == await tallies.get(TENANT, "t")


async def test_cancelled_write_takes_no_other_with_it(records: SqliteRecords) -> None:
    tallies = records.collection(TALLIES)
    tasks = [asyncio.create_task(tallies.add(Tally(str(number), TENANT))) for number in range(5)]
    await asyncio.sleep(0)

    tasks[2].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[2], asyncio.CancelledError)
    assert [answer.id for answer in answers if isinstance(answer, Tally)] == ["0", "1", "3", "4"]
    assert {"0", "1", "3", "4"} <= (await tallies.get_many(TENANT, list("01234"))).keys()


async def test_more_writes_than_a_group_takes(records: SqliteRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_MAX", 4)
    tallies = records.collection(TALLIES)

    await asyncio.gather(*(tallies.add(Tally(str(number), TENANT)) for number in range(30)))

    assert await tallies.count(TENANT) == 30


async def test_closing_finishes_what_was_asked_for(path: Path) -> None:
    async with SqliteRecords.open(path, KINDS) as records:
        waiting = [asyncio.create_task(records.collection(TALLIES).add(Tally(str(n), TENANT))) for n in range(9)]
        await asyncio.sleep(0)

    assert len(await asyncio.gather(*waiting)) == 9
    async with SqliteRecords.open(path, KINDS) as records:
        assert await records.collection(TALLIES).count(TENANT) == 9


async def test_old_once_keys_are_forgotten(records: SqliteRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are bounded; the latest are there still."""
    monkeypatch.setattr(table, "ONCE_KEYS_KEPT", 10)
    tallies = records.collection(TALLIES)
    await tallies.add(Tally("t", TENANT))

    for number in range(100):
        await tallies.increment(TENANT, "t", {"count": 1}, once=str(number))
    for number in range(90, 100):
        await tallies.increment(TENANT, "t", {"count": 1}, once=str(number))

    assert (await tallies.get(TENANT, "t")).count == 100
    assert records._writing.execute('SELECT count(*) FROM "_once"').fetchone()[0] <= 20


# ---- the file


async def test_commits_are_durable_and_readers_free(records: SqliteRecords) -> None:
    settings = [records._writing.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert settings == ["wal", 2]


async def test_commits_wait_for_no_disk_where_none_is_asked_for(path: Path) -> None:
    """They outlive the process all the same: the operating system has them."""
    async with SqliteRecords.open(path, KINDS, syncs=False) as records:
        assert records._writing.execute("PRAGMA synchronous").fetchone() == (1,)


async def test_what_is_being_written_is_not_seen_before_it_is_durable(
    records: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing connection, by which is read between two transactions, sees them before they are committed."""
    tallies = records.collection(TALLIES)
    await tallies.add(Tally("t", TENANT))
    seen: list[int] = []
    in_thread = Writer._in_thread

    async def look_first(self: Writer, function: Callable[[], None]) -> None:
        seen.append((await tallies.get(TENANT, "t")).count)
        await in_thread(self, function)

    monkeypatch.setattr(Writer, "_in_thread", look_first)
    await tallies.increment(TENANT, "t", {"count": 1})

    assert seen == [0]
    assert (await tallies.get(TENANT, "t")).count == 1


async def test_lists_go_by_their_index(records: SqliteRecords, path: Path) -> None:
    """SQLite is asked how it would go about the statements that a page is read with."""
    seen: list[str] = []
    records._writing.set_trace_callback(seen.append)
    parcels = records.collection(PARCELS)
    sent = equals("state", State.SENT)
    for request in (
        PageRequest(),
        PageRequest(after=Position(at(1), "x")),
        PageRequest(before=Position(at(1), "x"), from_end=True),
    ):
        for descending in (False, True):
            await parcels.list(TENANT, order=Order("created_at", descending), page=request)
            await parcels.list(TENANT, [sent], order=Order("created_at", descending), page=request)
            await parcels.list(TENANT, order=Order("expires_at", descending), page=request)
    await parcels.list(TENANT, order=Order("number"), page=PageRequest(after=Position(7, "x")))
    await parcels.list(TENANT, [equals("owner", "x")], order=Order("size_bytes"), page=PageRequest())
    await parcels.find(TENANT, code="C")
    await parcels.find(TENANT, shelf="S", slot=1)
    await parcels.list(TENANT, [equals("expires_at", at(1))], order=Order("id"), page=PageRequest())
    await parcels.list(TENANT, [sent, equals("created_at", at(1))], order=Order("id"), page=PageRequest())

    shell = sqlite3.connect(path)
    for statement in seen:
        plan = " ".join(row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "USING INDEX" in plan, (statement, plan)
        assert "TEMP B-TREE" not in plan, (statement, plan)
    shell.close()
    assert len(seen) > 20


async def check_index(records: SqliteRecords, path: Path, where: list[Condition], order: Order, expected: str) -> None:
    """Ask SQLite which index it would read such a page by."""
    seen: list[str] = []
    for connection in (records._writing, *records._reader._all):
        connection.set_trace_callback(seen.append)
    await records.collection(PARCELS).list(TENANT, where, order=order, page=PageRequest())

    shell = sqlite3.connect(path)
    read = next(statement for statement in seen if "_document" in statement)
    plan = " ".join(row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {read}"))
    shell.close()
    assert f"USING INDEX {expected} (" in plan, plan


async def test_list_goes_by_the_rarest_field(records: SqliteRecords, path: Path) -> None:
    """An owner has fewer records than there are, so they are sorted; None is nobody's and says little."""
    by_time, mine, nobodys = Order("created_at"), equals("owner", "anna"), equals("owner", None)

    await check_index(records, path, [mine], by_time, "parcels.by.owner.size_bytes")
    await check_index(records, path, [one_of("owner", ["anna"])], by_time, "parcels.by.owner.size_bytes")
    await check_index(records, path, [nobodys], by_time, "parcels.by.created_at")
    await check_index(records, path, [nobodys], Order("size_bytes"), "parcels.by.owner.size_bytes")
    await check_index(records, path, [equals("state", State.SENT), mine], by_time, "parcels.by.state.created_at")


async def test_list_that_would_sort_many_goes_by_the_order(
    records: SqliteRecords, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a value that half of a million records have, the first fifty are found without sorting the half."""
    monkeypatch.setattr(collection_module, "SORTED_MAX", 2)
    parcels, mine = records.collection(PARCELS), equals("owner", "anna")
    for number in range(3):
        await check_index(records, path, [mine], Order("created_at"), "parcels.by.owner.size_bytes")
        await parcels.add(parcel(f"parcel{number}", owner="anna", created_at=at(number)))

    await check_index(records, path, [mine], Order("created_at"), "parcels.by.created_at")
    page = await parcels.list(TENANT, [mine], order=Order("created_at"), page=PageRequest(2))
    assert [one.id for one in page.items] == ["parcel_parcel0", "parcel_parcel1"]
    assert page.has_next


async def test_scan_goes_by_an_index(records: SqliteRecords, path: Path) -> None:
    """Also where SQLite, knowing nothing of the values, would rather read everything."""
    seen: list[str] = []
    for connection in records._reader._all:
        connection.set_trace_callback(seen.append)
    where = [one_of("state", [State.OPEN, State.LOST]), below("created_at", at(1))]
    await records.collection(PARCELS).scan(where, order=Order("created_at"), limit=9)

    shell = sqlite3.connect(path)
    plan = " ".join(row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {seen[0]}"))
    shell.close()
    assert "parcels.by.state.created_at (tenant_id=? AND state=? AND created_at<?)" in plan


# ---- changes


async def test_own_change_is_told_at_once(records: SqliteRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "CHANGES_POLL_SECONDS", 60)
    changes = records.changes()
    await anext(changes)

    told = asyncio.ensure_future(anext(changes))
    await records.collection(TALLIES).add(Tally("t", TENANT))
    async with asyncio.timeout(5):
        await told
    await changes.aclose()


async def test_change_of_another_process_is_told(records: SqliteRecords, path: Path) -> None:
    """And without one there is no step."""
    async with SqliteRecords.open(path, KINDS) as other:
        changes = records.changes()
        await anext(changes)
        told = asyncio.ensure_future(anext(changes))
        await asyncio.wait({told}, timeout=0.12)
        was_quiet = not told.done()

        await other.collection(TALLIES).add(Tally("t", TENANT))
        async with asyncio.timeout(5):
            await told

    assert was_quiet
    await changes.aclose()


async def test_change_between_two_steps_is_not_missed(records: SqliteRecords) -> None:
    changes = records.changes()
    await anext(changes)
    await records.collection(TALLIES).add(Tally("t", TENANT))

    async with asyncio.timeout(5):
        await anext(changes)
    await changes.aclose()
