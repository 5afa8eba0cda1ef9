"""How blobs are cut: sizes, numbers, and what fits into a bucket's limits. No server is asked."""

import asyncio
import contextlib
import hashlib
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.blobs import files
from adapters.blobs.copying import COPY_BYTES_MAX, plan_copies
from adapters.blobs.parts import PART_SIZE_BYTES_MIN, PARTS_MAX, Memory, Part, PartPlan
from domain.errors import LengthExceeded

MIB, GIB, TIB = 2**20, 2**30, 2**40
PLAN = PartPlan(16 * MIB)


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (0, 16 * MIB),
        (GIB, 16 * MIB),
        (153 * GIB, 16 * MIB),
        (154 * GIB, 17 * MIB),
        (TIB, 107 * MIB),
        (50 * TIB, 5350 * MIB),
    ],
)
def test_parts_are_large_enough_for_the_length(length: int, size: int) -> None:
    if size > 5 * GIB:
        with pytest.raises(LengthExceeded):
            PLAN.size_of(1, length=length, offset=0)
        return
    assert size == PLAN.size_of(1, length=length, offset=0)


@pytest.mark.parametrize(
    ("number", "size"), [(1, 16), (900, 16), (901, 32), (1800, 32), (1801, 64), (8101, 5120), (10_000, 5120)]
)
def test_parts_grow_while_the_length_is_unknown(number: int, size: int) -> None:
    assert size * MIB == PLAN.size_of(number, length=None, offset=0)


def test_equal_parts_do_not_grow() -> None:
    plan = PartPlan(16 * MIB, equal=True)

    assert plan.size_of(9000, length=None, offset=0) == 16 * MIB
    assert plan.size_of(9000, length=TIB, offset=TIB - 5) == 107 * MIB
    assert not plan.may_end_early(15 * MIB, number=1, length=None, offset=0)


def test_more_parts_than_there_are_is_refused() -> None:
    with pytest.raises(LengthExceeded):
        PLAN.size_of(PARTS_MAX + 1, length=None, offset=0)


def follow(length: int, *, declared: bool, requests: Iterator[int]) -> int:
    """Append requests until the blob is whole, as the store cuts them; give the last part's number."""
    known = length if declared else None
    reached = begin = last = 0
    while reached < length:
        reached = min(reached + next(requests), length)
        number = PLAN.number_after(last, length=known, offset=begin)
        assert number > last
        while reached - begin >= (part := PLAN.size_of(number, length=known, offset=begin)):
            assert PART_SIZE_BYTES_MIN <= part <= 5 * GIB
            begin, last = begin + part, number
            number += 1
        rest = reached - begin
        if rest and (reached == known or PLAN.may_end_early(rest, number=number, length=known, offset=begin)):
            begin, last = reached, number
    return last + (begin < reached)


@given(
    length=st.integers(0, 4 * TIB),
    requests=st.lists(st.integers(500 * MIB, 20 * GIB), min_size=1, max_size=12),
    declared=st.booleans(),
)
def test_wherever_requests_end_the_parts_suffice(length: int, requests: list[int], declared: bool) -> None:
    assert follow(length, declared=declared, requests=itertools.cycle(requests)) <= PARTS_MAX


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("size", [MIB, 5 * MIB, 8 * MIB + 1, 16 * MIB - 1])
def test_the_most_inconvenient_requests_do_not_use_the_numbers_up(size: int, declared: bool) -> None:
    """Parts as small as they may be at every end of a request would be 20,000 of them."""
    assert follow(100 * GIB, declared=declared, requests=itertools.repeat(size)) <= PARTS_MAX


@given(st.lists(st.integers(0, 3 * COPY_BYTES_MAX) | st.integers(0, 12 * MIB), max_size=30))
def test_copies_cover_the_sources_in_order(sizes: list[int]) -> None:
    parts = plan_copies(sizes)

    spans = [span for part in parts for span in part]
    position = dict.fromkeys(range(len(sizes)), 0)
    assert [span.source for span in spans] == sorted(span.source for span in spans)
    for span in spans:
        assert position[span.source] == span.start < span.end
        position[span.source] = span.end
    assert list(position.values()) == sizes
    for part in parts[:-1]:
        assert sum(span.size for span in part) >= PART_SIZE_BYTES_MIN
    for part in parts:
        assert sum(span.size for span in part) <= (COPY_BYTES_MAX if len(part) == 1 else 2 * PART_SIZE_BYTES_MIN)


def test_too_many_copies_are_refused() -> None:
    with pytest.raises(LengthExceeded):
        plan_copies([PART_SIZE_BYTES_MIN] * (PARTS_MAX + 1))


@pytest.mark.parametrize("room", [0, 100, 70_000, 10**6])
async def test_a_part_gives_back_what_was_put_in(room: int, tmp_path: Path) -> None:
    """In memory, in a file, and after it moved from one to the other."""
    memory = Memory(room)
    part = Part(memory, tmp_path)
    chunks = [bytes([number]) * size for number, size in enumerate([10, 50, 20_000, 1, 1, 65_536, 30_000, 7])]
    for chunk in chunks:
        part.add(chunk)

    part.seal()

    for _ in range(2):
        assert b"".join(chunks) == b"".join([chunk async for chunk in part.follow()])
    assert hashlib.sha256(b"".join(chunks)).hexdigest() == await part.sha256()
    assert sum(map(len, chunks)) == part.size
    assert (part.file is None) == (room == 10**6)
    assert memory.free_bytes == (room if part.file else room - part.size)

    part.close()
    part.close()
    assert memory.free_bytes == room
    assert list(tmp_path.iterdir()) == []


async def test_who_follows_closely_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are spooled for another try; the first gets them as they came."""
    monkeypatch.setattr(files, "read", _refuse)
    part, came = Part(Memory(0), tmp_path), list[bytes]()

    async def follow() -> None:
        async with contextlib.aclosing(part.follow()) as chunks:
            async for chunk in chunks:
                came.append(chunk)

    following = asyncio.create_task(follow())
    sent = [bytes([number]) * 200_000 for number in range(20)]
    for chunk in sent:
        await part.make_room(len(chunk), expected=4_000_000)
        await asyncio.sleep(0)
        part.add(chunk)
    part.seal()
    await following
    part.close()

    assert came == sent


@pytest.mark.parametrize("seed", range(40))
async def test_every_follower_gets_the_same_bytes(seed: int, tmp_path: Path) -> None:
    """However fast or slow it is beside who fills, and whether those before it broke off."""
    chance = random.Random(seed)
    part = Part(Memory(chance.choice([0, 300_000])), tmp_path)
    sent = [chance.randbytes(chance.choice([1, 40_000, 250_000])) for _ in range(30)]
    whole = b"".join(sent)

    async def fill() -> None:
        for chunk in sent:
            await part.make_room(len(chunk), expected=len(whole))
            part.add(chunk)
            for _ in range(chance.choice([0, 0, 1, 5])):
                await asyncio.sleep(0)
        part.seal()

    async def follow(bytes_max: int) -> bytes:
        came = b""
        async with contextlib.aclosing(part.follow()) as chunks:
            async for chunk in chunks:
                came += chunk
                for _ in range(chance.choice([0, 0, 1, 3])):
                    await asyncio.sleep(0)
                if len(came) >= bytes_max:
                    break
        return came

    filling = asyncio.create_task(fill())
    for _ in range(3):
        came = await follow(chance.randrange(1, len(whole)))
        assert whole.startswith(came)
    assert await follow(len(whole) + 1) == whole
    await filling
    part.close()


async def _refuse(*_: object) -> bytes:
    raise AssertionError("the file was read")


async def test_room_is_waited_for_only_where_some_is_about_to_be_free() -> None:
    """Parts that are being sent give theirs back soon; what slow clients fill may be held for hours."""
    memory = Memory(10)
    assert memory.take(10)
    async with asyncio.timeout(1):
        await memory.wait_for(5)

    memory.announce(10)
    waiting = asyncio.create_task(memory.wait_for(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    memory.announce(-10)
    memory.give_back(10)
    async with asyncio.timeout(1):
        await waiting
    assert memory.take(5)


async def test_a_part_that_grows_takes_all_the_room_it_will_need(tmp_path: Path) -> None:
    """So that many which fill at once do not all end in files."""
    memory = Memory(2 * MIB)
    first, second = Part(memory, tmp_path), Part(memory, tmp_path)
    for part in (first, second, first, second):
        await part.make_room(200_000, expected=2 * MIB - 250_000)
        part.add(bytes(200_000))

    assert first.file is None
    assert second.file is not None
    assert memory.free_bytes == 250_000

    first.seal()
    assert memory.free_bytes == 2 * MIB - 400_000
    first.close()
    second.close()
    assert memory.free_bytes == 2 * MIB
