"""What the records of all kinds keep to together: several writes, numbers, life and migration."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from domain.errors import Conflict, NotFound
from domain.page import Order, PageRequest, equals
from domain.records import Add, Collection, Delete, Increment, Kind, Records, Save, Write
from tests.contract.records.conftest import OpenRecords
from tests.support.records import KINDS, PARCELS, TALLIES, Parcel, Tally, parcel

Parcels = Collection[Parcel]
Tallies = Collection[Tally]

# ---- several writes


async def test_writes_happen_in_order(records: Records, parcels: Parcels, tallies: Tallies) -> None:
    await tallies.add(Tally("gone", "tenant_a"))

    await records.write(
        Add(PARCELS, parcel("one", code="C")),
        Add(TALLIES, Tally("t", "tenant_a", 1)),
        Increment(TALLIES, "tenant_a", "t", {"count": 2}),
        Save(TALLIES, Tally("t", "tenant_a", 9), expected_revision=2),
        Delete(TALLIES, "tenant_a", "gone"),
    )

    assert replace(parcel("one", code="C"), revision=1, number=1) == await parcels.find("tenant_a", code="C")
    assert Tally("t", "tenant_a", 9, 0, 3) == await tallies.get("tenant_a", "t")
    assert await tallies.count("tenant_a") == 1


async def test_first_write_decides(records: Records, tallies: Tallies) -> None:
    """Where it is refused, nothing behind it happens."""
    first = await tallies.add(Tally("t", "tenant_a"))
    refused: list[tuple[Write, type[Exception]]] = [
        (Add(TALLIES, first), Conflict),
        (Save(TALLIES, first, expected_revision=7), Conflict),
        (Save(TALLIES, Tally("none", "tenant_a"), expected_revision=1), NotFound),
        (Increment(TALLIES, "tenant_a", "none", {"count": 1}), NotFound),
        (Increment(TALLIES, "tenant_a", "t", {"count": 1}, at_most={"count": 0}), Conflict),
    ]

    for write, fault in refused:
        with pytest.raises(fault):
            await records.write(write, Add(TALLIES, Tally("u", "tenant_a")))

    assert first == await tallies.get("tenant_a", "t")
    assert await tallies.count("tenant_a") == 1


async def test_later_write_that_is_refused_stops_those_behind_it(records: Records, tallies: Tallies) -> None:
    await tallies.add(Tally("t", "tenant_a"))

    with pytest.raises(Conflict):
        await records.write(
            Add(TALLIES, Tally("u", "tenant_a")),
            Add(TALLIES, Tally("t", "tenant_a")),
            Add(TALLIES, Tally("v", "tenant_a")),
        )

    with pytest.raises(NotFound):
        await tallies.get("tenant_a", "v")


async def test_writes_can_be_repeated_from_the_start(records: Records, parcels: Parcels, tallies: Tallies) -> None:
    """What a database without transactions asks of callers: the second time finds all done and changes nothing."""
    await tallies.add(Tally("t", "tenant_a"))
    writes = (
        Add(PARCELS, parcel("one", title="first"), if_absent=True),
        Increment(TALLIES, "tenant_a", "t", {"count": 1}, once="one"),
    )

    await records.write(*writes)
    await records.write(replace(writes[0], record=parcel("one", title="second")), writes[1])

    assert (await parcels.get("tenant_a", "parcel_one")).title == "first"
    assert Tally("t", "tenant_a", 1, 0, 2) == await tallies.get("tenant_a", "t")


async def test_absent_id_with_a_taken_unique_value_is_a_conflict(records: Records, parcels: Parcels) -> None:
    await parcels.add(parcel("one", code="index: _id_ dup key"))

    with pytest.raises(Conflict):
        await records.write(Add(PARCELS, parcel("two", code="index: _id_ dup key"), if_absent=True))

    assert await parcels.count("tenant_a") == 1


async def test_refused_writes_leave_their_neighbours_be(records: Records, tallies: Tallies) -> None:
    """Writes that come at once share a transaction or a message, but never a fate."""
    adds = [tallies.add(Tally(str(index % 60), "tenant_a", index)) for index in range(100)]

    answers = await asyncio.gather(*adds, return_exceptions=True)

    kept = sorted(answer.count for answer in answers if isinstance(answer, Tally))
    assert 60 == len(kept) == await tallies.count("tenant_a")
    assert sum(isinstance(answer, Conflict) for answer in answers) == 40
    assert sum(kept) == await tallies.sum("tenant_a", "count")


# ---- numbers


async def numbers(parcels: Parcels, tenant_id: str = "tenant_a") -> list[int]:
    page = await parcels.list(tenant_id, order=Order("number"), page=PageRequest(100))
    return [one.number for one in page.items]


async def test_each_tenant_has_its_own_numbers(parcels: Parcels) -> None:
    for index in range(3):
        await parcels.add(parcel(str(index)))
    other = await parcels.add(parcel("one", tenant_id="tenant_b"))

    assert (await numbers(parcels), other.number) == ([1, 2, 3], 1)


async def test_number_of_a_deleted_record_is_not_given_again(parcels: Parcels) -> None:
    """Who read up to it would never see the new one."""
    for index in range(3):
        await parcels.add(parcel(str(index)))
    for index in (2, 1, 0):
        await parcels.delete("tenant_a", f"parcel_{index}")

    after = await parcels.add(parcel("new"))

    assert after.number == 4


async def test_numbers_of_records_added_at_once(parcels: Parcels) -> None:
    """Refused ones among them take nothing from the others."""
    adds = [parcels.add(parcel(str(index % 50), code=str(index % 40))) for index in range(80)]

    answers = await asyncio.gather(*adds, return_exceptions=True)

    added = [answer.number for answer in answers if isinstance(answer, Parcel)]
    assert 40 == len(added) == len(set(added))
    assert sorted(added) == await numbers(parcels)


# ---- life


async def test_records_outlive_the_process(open_database: OpenRecords) -> None:
    async with open_database() as records:
        added = await records.collection(PARCELS).add(parcel("one", code="C"))

    async with open_database() as records:
        found = await records.collection(PARCELS).find("tenant_a", code="C")
        second = await records.collection(PARCELS).add(parcel("two"))

    assert (added, 2) == (found, second.number)


async def test_two_at_one_database_see_each_other(open_database: OpenRecords) -> None:
    async with open_database() as one, open_database() as other:
        added = await one.collection(PARCELS).add(parcel("one"))
        saved = await other.collection(PARCELS).save(replace(added, title="new"), expected_revision=1)

        assert saved == await one.collection(PARCELS).get("tenant_a", added.id)
        assert (await other.collection(PARCELS).add(parcel("two"))).number == 2


async def test_ping(records: Records) -> None:
    await records.ping()
    await records.ping()


# ---- other releases


@dataclass(frozen=True, slots=True)
class OldParcel:
    id: str
    tenant_id: str
    title: str = ""
    code: str | None = None
    dropped: int = 5
    revision: int = 0


OLD_PARCELS = Kind("parcels", OldParcel, fields=("dropped",), indexes=(("dropped",),))


async def test_newer_release_finds_old_records(open_database: OpenRecords) -> None:
    """Fields, unique values and numbers that were declared since are those of the record or its defaults."""
    async with open_database(OLD_PARCELS) as records:
        for index in range(3):
            await records.collection(OLD_PARCELS).add(
                OldParcel(f"parcel_{index}", "tenant_a", f"T{index}", f"C{index}")
            )

    async with open_database(*KINDS) as records:
        parcels = records.collection(PARCELS)
        page = await parcels.list("tenant_a", [equals("title_folded", "t1")], order=Order("number"), page=PageRequest())
        with pytest.raises(Conflict):
            await parcels.add(parcel("new", code="C1"))
        new = await parcels.add(parcel("new", size_bytes=7))

        assert [replace(parcel("1", title="T1", code="C1"), revision=1, number=2)] == page.items
        assert page.items[0] == await parcels.find("tenant_a", code="C1")
        assert (await parcels.count("tenant_a", [equals("slot", None), equals("size_bytes", 0)]), 7) == (3, 7)
        assert new.number > 3
        incremented = await parcels.increment("tenant_a", "parcel_0", {"opened": 2})
        assert incremented.opened == 2


async def test_older_release_reads_new_records(open_database: OpenRecords) -> None:
    async with open_database() as records:
        await records.collection(PARCELS).add(parcel("one", title="T", code="C", seal=b"x"))

    async with open_database(OLD_PARCELS) as records:
        old = await records.collection(OLD_PARCELS).get("tenant_a", "parcel_one")

    assert OldParcel("parcel_one", "tenant_a", "T", "C", 5, 1) == old


@dataclass(frozen=True, slots=True)
class NewTally:
    id: str
    tenant_id: str
    count: int = 0
    other: int = 0
    third: int = 30
    revision: int = 0


NEW_TALLIES = Kind("tallies", NewTally, fields=("count",))
STRICT_TALLIES = Kind("tallies", Tally, fields=("count",), unique=(("count",),))


async def test_increment_of_a_field_that_the_record_gained(open_database: OpenRecords) -> None:
    """It starts from the default, not from nothing."""
    async with open_database() as records:
        await records.collection(TALLIES).add(Tally("t", "tenant_a"))

    async with open_database(NEW_TALLIES) as records:
        after = await records.collection(NEW_TALLIES).increment("tenant_a", "t", {"third": 3}, once="key")
        again = await records.collection(NEW_TALLIES).increment("tenant_a", "t", {"third": 3}, once="key")

    assert NewTally("t", "tenant_a", 0, 0, 33, 2) == after == again


async def test_unique_group_that_records_break_cannot_be_declared(open_database: OpenRecords) -> None:
    """Opening says so and leaves the database as the old release knows it."""
    async with open_database() as records:
        await records.collection(TALLIES).add(Tally("t", "tenant_a"))
        await records.collection(TALLIES).add(Tally("u", "tenant_a"))

    with pytest.raises(Conflict):
        async with open_database(STRICT_TALLIES):
            pass

    async with open_database() as records:
        await records.collection(TALLIES).add(Tally("v", "tenant_a"))
