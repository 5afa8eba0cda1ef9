"""What a collection keeps and refuses, one record at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from domain.errors import Conflict, InvalidValue, NotFound
from domain.page import Order, PageRequest, at_least, below, equals
from domain.records import Collection
from tests.support.records import Label, Parcel, State, Tally, at, parcel

Parcels = Collection[Parcel]
Tallies = Collection[Tally]

WHOLE = parcel(
    "whole",
    title="Ærø & søn \U0001f4e6 %_\\.*\u0000",
    state=State.SENT,
    created_at=at(0.000001),
    expires_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    owner="user_1",
    code="C-1",
    shelf="S",
    slot=-7,
    size_bytes=2**63 - 1,
    is_fragile=True,
    seal=bytes(range(256)),
    label=Label("first", 0.1, at(-0.5)),
    labels=(Label("a", 1e300), Label("b", -0.0)),
    notes={"a.b": {"$set": [1, None, True, {"": "empty"}]}, "%24": 2**53 + 1, "x\u0000y": "z"},
)


async def test_add_then_get_gives_the_same_record(parcels: Parcels) -> None:
    """Every type that a field may have comes back equal, and the revision and number are the store's."""
    added = await parcels.add(WHOLE)

    assert replace(WHOLE, revision=1, number=1) == added
    assert added == await parcels.get("tenant_a", WHOLE.id)


async def test_defaults_come_back(parcels: Parcels) -> None:
    added = await parcels.add(parcel("plain"))

    assert replace(parcel("plain"), revision=1, number=1) == added == await parcels.get("tenant_a", added.id)


async def test_time_of_another_zone_is_the_same_moment(parcels: Parcels) -> None:
    """A caller's offset is of no interest to order or equality."""
    early = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    await parcels.add(parcel("early", created_at=early))

    stored = await parcels.get("tenant_a", "parcel_early")
    found = await parcels.count("tenant_a", [equals("created_at", early.astimezone(UTC))])

    assert (early, 1) == (stored.created_at, found)


async def test_get_of_nothing(parcels: Parcels) -> None:
    """A missing record and another tenant's look the same."""
    await parcels.add(parcel("one"))

    for tenant_id, identifier in (("tenant_a", "parcel_two"), ("tenant_b", "parcel_one"), ("", "")):
        with pytest.raises(NotFound, match="there is no such parcel"):
            await parcels.get(tenant_id, identifier)


async def test_tenants_may_use_the_same_id(parcels: Parcels) -> None:
    mine = await parcels.add(parcel("one", title="mine"))
    theirs = await parcels.add(parcel("one", tenant_id="tenant_b", title="theirs"))

    assert mine == await parcels.get("tenant_a", mine.id)
    assert theirs == await parcels.get("tenant_b", mine.id)


async def test_ids_and_tenants_do_not_run_together(tallies: Tallies) -> None:
    """A key made of two texts keeps the border between them."""
    await tallies.add(Tally("b/c", "a", 1))
    await tallies.add(Tally("c", "a/b", 2))

    assert [(await tallies.get("a", "b/c")).count, (await tallies.get("a/b", "c")).count] == [1, 2]


async def test_add_of_a_taken_id_changes_nothing(parcels: Parcels) -> None:
    first = await parcels.add(parcel("one", title="first"))

    with pytest.raises(Conflict):
        await parcels.add(parcel("one", title="second"))

    assert first == await parcels.get("tenant_a", first.id)
    assert await parcels.count("tenant_a") == 1


async def check_taken(parcels: Parcels, taken: Parcel, wanted: Parcel) -> None:
    await parcels.add(taken)

    with pytest.raises(Conflict):
        await parcels.add(wanted)

    with pytest.raises(NotFound):
        await parcels.get(wanted.tenant_id, wanted.id)


async def test_add_of_a_taken_unique_value(parcels: Parcels) -> None:
    await check_taken(parcels, parcel("one", code="C"), parcel("two", code="C"))


async def test_add_of_a_taken_unique_group(parcels: Parcels) -> None:
    await check_taken(parcels, parcel("one", shelf="S", slot=1), parcel("two", shelf="S", slot=1))


async def test_unique_groups_that_differ_or_are_empty_are_free(parcels: Parcels) -> None:
    """A None in a group takes it out of the rule; tenants do not meet."""
    free: list[dict[str, Any]] = [
        {"code": "C", "shelf": "S", "slot": 1},
        {"code": "c", "shelf": "S", "slot": 2},
        {"shelf": "S"},
        {"shelf": "S"},
        {"slot": 1},
        {"slot": 1},
        {"tenant_id": "tenant_b", "code": "C", "shelf": "S", "slot": 1},
    ]

    for index, fields in enumerate(free):
        await parcels.add(parcel(str(index), **fields))

    assert (await parcels.count("tenant_a"), await parcels.count("tenant_b")) == (6, 1)


async def test_unique_groups_do_not_run_together(parcels: Parcels) -> None:
    await parcels.add(parcel("one", shelf="1", slot=11))
    await parcels.add(parcel("two", shelf="11", slot=1))

    assert await parcels.count("tenant_a") == 2


async def test_find_by_unique(parcels: Parcels) -> None:
    added = await parcels.add(parcel("one", code="C", shelf="S", slot=1))

    assert added == await parcels.find("tenant_a", code="C")
    assert added == await parcels.find("tenant_a", slot=1, shelf="S")
    assert None is await parcels.find("tenant_a", code="D")
    assert None is await parcels.find("tenant_b", code="C")
    assert None is await parcels.find("tenant_a", code=None)


async def test_get_many(parcels: Parcels) -> None:
    one, two = await parcels.add(parcel("one")), await parcels.add(parcel("two"))
    await parcels.add(parcel("three", tenant_id="tenant_b"))

    found = await parcels.get_many("tenant_a", [one.id, "parcel_three", two.id, one.id, 'x"]'])

    assert {one.id: one, two.id: two} == found
    assert await parcels.get_many("tenant_a", []) == {}


async def test_get_many_of_a_thousand(tallies: Tallies) -> None:
    await tallies.add(Tally("999", "tenant_a"))

    assert list(await tallies.get_many("tenant_a", [str(number) for number in range(1000)])) == ["999"]


# ---- changes


async def test_save_replaces_and_raises_the_revision(parcels: Parcels) -> None:
    added = await parcels.add(parcel("one", title="old", code="C"))

    saved = await parcels.save(replace(added, title="new", code=None), expected_revision=1)

    assert replace(added, title="new", code=None, revision=2) == saved == await parcels.get("tenant_a", added.id)
    assert (
        await parcels.count("tenant_a", [equals("title", "old")]),
        await parcels.count("tenant_a", [equals("title_folded", "new")]),
    ) == (0, 1)
    assert None is await parcels.find("tenant_a", code="C")


async def test_save_at_another_revision_changes_nothing(parcels: Parcels) -> None:
    added = await parcels.add(parcel("one"))
    saved = await parcels.save(replace(added, title="second"), expected_revision=1)

    for wrong in (0, 1, 3):
        with pytest.raises(Conflict):
            await parcels.save(replace(added, title="late"), expected_revision=wrong)

    assert saved == await parcels.get("tenant_a", added.id)


async def test_save_of_a_missing_record(parcels: Parcels) -> None:
    with pytest.raises(NotFound):
        await parcels.save(parcel("one"), expected_revision=1)

    assert await parcels.count("tenant_a") == 0


async def test_save_onto_a_taken_unique_value_changes_nothing(parcels: Parcels) -> None:
    await parcels.add(parcel("one", code="C"))
    two = await parcels.add(parcel("two", code="D"))

    with pytest.raises(Conflict):
        await parcels.save(replace(two, code="C"), expected_revision=1)

    assert two == await parcels.get("tenant_a", two.id) == await parcels.find("tenant_a", code="D")


async def test_freed_unique_value_can_be_taken(parcels: Parcels) -> None:
    one = await parcels.add(parcel("one", code="C"))
    await parcels.save(replace(one, code="D"), expected_revision=1)
    await parcels.add(parcel("two", code="C"))
    await parcels.delete("tenant_a", "parcel_two")

    three = await parcels.add(parcel("three", code="C"))

    assert three == await parcels.find("tenant_a", code="C")


async def test_delete(parcels: Parcels) -> None:
    """Removing twice is no fault, and nothing of another tenant goes."""
    added = await parcels.add(parcel("one"))
    theirs = await parcels.add(parcel("one", tenant_id="tenant_b"))

    await parcels.delete("tenant_a", added.id)
    await parcels.delete("tenant_a", added.id)

    with pytest.raises(NotFound):
        await parcels.get("tenant_a", added.id)
    assert theirs == await parcels.get("tenant_b", added.id)


# ---- increments


async def test_increment(parcels: Parcels) -> None:
    """Declared and undeclared number fields move together, down as well as up."""
    added = await parcels.add(parcel("one", size_bytes=10))

    after = await parcels.increment("tenant_a", added.id, {"size_bytes": 5, "opened": -1})

    assert replace(added, size_bytes=15, opened=-1, revision=2) == after == await parcels.get("tenant_a", added.id)
    assert await parcels.count("tenant_a", [at_least("size_bytes", 15), below("size_bytes", 16)]) == 1


async def test_increment_of_a_missing_record(tallies: Tallies) -> None:
    with pytest.raises(NotFound):
        await tallies.increment("tenant_a", "none", {"count": 1})
    with pytest.raises(NotFound):
        await tallies.increment("tenant_a", "none", {"count": 1}, at_most={"count": 0}, once="key")


async def test_increment_up_to_a_limit(tallies: Tallies) -> None:
    """What reaches the limit is taken, what would pass it changes nothing at all."""
    await tallies.add(Tally("t", "tenant_a", 7))

    with pytest.raises(Conflict):
        await tallies.increment("tenant_a", "t", {"count": 4, "other": 1}, at_most={"count": 10})
    unchanged = await tallies.get("tenant_a", "t")
    after = await tallies.increment("tenant_a", "t", {"count": 3, "other": 1}, at_most={"count": 10, "other": 5})

    assert Tally("t", "tenant_a", 7, 0, 1) == unchanged
    assert Tally("t", "tenant_a", 10, 1, 2) == after == await tallies.get("tenant_a", "t")


async def test_increment_once(tallies: Tallies) -> None:
    """A repeated key gives the record as it stands, even where the limit is now reached."""
    await tallies.add(Tally("t", "tenant_a"))
    first = await tallies.increment("tenant_a", "t", {"count": 1}, once="$a.b", at_most={"count": 1})

    again = await tallies.increment("tenant_a", "t", {"count": 1}, once="$a.b", at_most={"count": 1})
    with pytest.raises(Conflict):
        await tallies.increment("tenant_a", "t", {"count": 1}, once="another", at_most={"count": 1})

    assert Tally("t", "tenant_a", 1, 0, 2) == first == again == await tallies.get("tenant_a", "t")


async def test_refused_increment_does_not_use_its_key(tallies: Tallies) -> None:
    await tallies.add(Tally("t", "tenant_a", 1))
    with pytest.raises(Conflict):
        await tallies.increment("tenant_a", "t", {"count": 1}, once="key", at_most={"count": 1})

    after = await tallies.increment("tenant_a", "t", {"count": 1}, once="key", at_most={"count": 2})

    assert after.count == 2


async def test_once_outlives_a_save_and_belongs_to_its_record(tallies: Tallies) -> None:
    await tallies.add(Tally("t", "tenant_a"))
    await tallies.add(Tally("u", "tenant_a"))
    first = await tallies.increment("tenant_a", "t", {"count": 1}, once="key")
    await tallies.save(replace(first, other=9), expected_revision=first.revision)

    again = await tallies.increment("tenant_a", "t", {"count": 1}, once="key")
    other = await tallies.increment("tenant_a", "u", {"count": 1}, once="key")

    assert (again.count, again.other, other.count) == (1, 9, 1)


async def test_once_is_forgotten_with_its_record(tallies: Tallies) -> None:
    await tallies.add(Tally("t", "tenant_a"))
    await tallies.increment("tenant_a", "t", {"count": 1}, once="key")
    await tallies.delete("tenant_a", "t")
    await tallies.add(Tally("t", "tenant_a"))

    after = await tallies.increment("tenant_a", "t", {"count": 1}, once="key")

    assert after.count == 1


# ---- values that no database keeps


async def test_half_a_surrogate_pair_is_refused(parcels: Parcels) -> None:
    """JSON can carry it into a title; UTF-8 cannot."""
    for field in ("title", "owner"):
        with pytest.raises(InvalidValue):
            await parcels.add(parcel("one", **{field: "\ud800"}))
    with pytest.raises(InvalidValue):
        await parcels.list("tenant_a", [equals("title", "\udfff")], order=Order("id"), page=PageRequest())

    assert await parcels.count("tenant_a") == 0


async def test_too_large_a_number_is_refused(parcels: Parcels) -> None:
    with pytest.raises(InvalidValue):
        await parcels.add(parcel("one", size_bytes=2**63))
    with pytest.raises(InvalidValue):
        await parcels.count("tenant_a", [equals("size_bytes", 2**70)])

    assert await parcels.count("tenant_a") == 0
