"""Reading a body: how it ends, what it may hold, and who may wake its reader."""

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field

import pytest

from domain.errors import ChecksumMismatch, LengthExceeded
from domain.upload import BodyEnd, Checksum
from tests.support.upload_client import DISCONNECT, Wire, part
from upload.body import CHUNK_BYTES_MAX, BodyReader
from upload.protocol.checksums import available_algorithms
from upload.protocol.errors import ChecksumAlgorithmUnsupported

SHA1_HELLO = Checksum("sha1", hashlib.sha1(b"hello").digest())
IN_TRAILER = Checksum("trailer", None)


@dataclass
class FakeTimer:
    """The event loop's call_later, with the time in the test's hand."""

    seconds: float = 0.0
    due: list["_Handle"] = field(default_factory=list)

    def call_later(self, delay, callback, *arguments):
        handle = _Handle(self, self.seconds + delay, callback, arguments)
        self.due.append(handle)
        return handle

    def advance(self, *, seconds):
        end = self.seconds + seconds
        while self.due and min(handle.at for handle in self.due) <= end:
            handle = min(self.due, key=lambda handle: handle.at)
            self.due.remove(handle)
            self.seconds = handle.at
            handle.callback(*handle.arguments)
        self.seconds = end


@dataclass(eq=False)
class _Handle:
    timer: FakeTimer
    at: float
    callback: object
    arguments: tuple

    def cancel(self):
        if self in self.timer.due:
            self.timer.due.remove(self)


@pytest.fixture
def wire() -> Wire:
    return Wire([(b"trailer", b"upload-checksum"), (b"upload-checksum", b"sha1 no-trailer")])


@pytest.fixture
def timer() -> FakeTimer:
    return FakeTimer()


def reader_of(wire, *, length=None, timer=None, rate=0) -> BodyReader:
    return BodyReader(
        wire.receive,
        length=length,
        idle_timeout_seconds=60,
        header_lines=wire.lines,
        algorithms=available_algorithms(),
        rate_min_bytes_per_second=rate,
        call_later=(timer or FakeTimer()).call_later,
    )


async def read(body, *, limit=2**40, checksum=None):
    return [chunk async for chunk in body.chunks(limit=limit, checksum=checksum)]


async def settle():
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


# ---- ends


@pytest.mark.parametrize(
    ("length", "messages", "chunks", "ended_by"),
    [
        (0, [], [], BodyEnd.COMPLETE),
        (5, [part(b"hello")], [b"hello"], BodyEnd.COMPLETE),
        (5, [part(b"he", more=True), part(b"llo")], [b"he", b"llo"], BodyEnd.COMPLETE),
        (5, [part(b"hello", more=True)], [b"hello"], BodyEnd.COMPLETE),
        (5, [part(b"he", more=True), part(b"", more=True), part(b"llo")], [b"he", b"llo"], BodyEnd.COMPLETE),
        (5, [part(b"he")], [b"he"], BodyEnd.CUT),
        (5, [part(b"he", more=True), DISCONNECT], [b"he"], BodyEnd.CUT),
        (5, [DISCONNECT], [], BodyEnd.CUT),
        (None, [part(b"he", more=True), part(b"llo")], [b"he", b"llo"], BodyEnd.COMPLETE),
        (None, [part(b"hello", more=True), part(b"")], [b"hello"], BodyEnd.COMPLETE),
        (None, [part(b"")], [], BodyEnd.COMPLETE),
        (None, [part(b"hello", more=True), DISCONNECT], [b"hello"], BodyEnd.CUT),
    ],
)
async def test_body_ends_as_its_bytes_tell(wire, length, messages, chunks, ended_by):
    """A cut body keeps its bytes and is never taken for a whole one."""
    wire.push(*messages)
    body = reader_of(wire, length=length)

    assert await read(body) == chunks
    assert (body.ended_by, body.received) == (ended_by, len(b"".join(chunks)))
    assert body.is_connected is (DISCONNECT not in messages)


async def test_large_message_is_given_in_chunks(wire):
    """Stores are promised chunks of at most 262,144 bytes."""
    wire.push(part(bytes(600_000)))
    body = reader_of(wire, length=600_000)

    assert [len(chunk) for chunk in await read(body)] == [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 600_000 - 2 * 262_144]


async def test_announced_excess_is_refused_unread(wire):
    body = reader_of(wire, length=6)

    with pytest.raises(LengthExceeded):
        await read(body, limit=5)

    assert wire.read == 0


async def test_chunked_excess_is_refused_when_it_comes(wire):
    """uploads.md, 9: never beyond the length, counted, also chunked and deferred."""
    wire.push(part(b"hello", more=True), part(b"!"))

    with pytest.raises(LengthExceeded):
        await read(reader_of(wire), limit=5)


# ---- stop and idle


async def test_stop_wakes_a_waiting_reader(wire):
    """A newcomer must not wait for a client that is silent."""
    body = reader_of(wire, length=5)
    wire.push(part(b"he", more=True))
    task = asyncio.create_task(read(body))
    await settle()
    body.stop()
    body.stop()

    assert await task == [b"he"]
    assert body.ended_by is BodyEnd.STOPPED
    assert task.cancelling() == 0


async def test_stop_between_reads_ends_at_the_next(wire):
    body = reader_of(wire, length=5)
    wire.push(part(b"he", more=True), part(b"llo"))
    chunks = body.chunks(limit=5)
    first = await anext(chunks)
    body.stop()

    assert [first, *[chunk async for chunk in chunks]] == [b"he"]
    assert body.ended_by is BodyEnd.STOPPED


async def test_stop_after_the_end_changes_nothing(wire):
    body = reader_of(wire, length=5)
    wire.push(part(b"hello"))
    await read(body)
    body.stop()

    assert body.ended_by is BodyEnd.COMPLETE


async def test_pause_wakes_a_waiting_reader_and_loses_nothing(wire):
    """What came so far can be stored while the client is silent; then the body goes on."""
    body = reader_of(wire, length=10)
    wire.push(part(b"hello", more=True))
    task = asyncio.create_task(read(body))
    await settle()
    body.pause()
    body.pause()

    assert (await task, body.ended_by) == ([b"hello"], None)
    wire.push(part(b"world"))
    assert (await read(body, limit=5), body.ended_by) == ([b"world"], BodyEnd.COMPLETE)
    assert (task.cancelling(), body.received) == (0, 10)


async def test_pause_between_reads_ends_the_present_chunks(wire):
    body = reader_of(wire, length=10)
    wire.push(part(b"hello", more=True), part(b"world"))
    chunks = body.chunks(limit=10)
    first = await anext(chunks)
    body.pause()

    assert [first, *[chunk async for chunk in chunks]] == [b"hello"]
    assert await read(body, limit=5) == [b"world"]


async def test_pause_and_stop_at_once_are_one_waking(wire):
    """A newcomer may come while somebody asks for the offset."""
    body = reader_of(wire, length=10)
    task = asyncio.create_task(read(body))
    await settle()
    body.pause()
    body.stop()

    assert (await task, body.ended_by) == ([], BodyEnd.STOPPED)
    assert task.cancelling() == 0


async def test_limit_counts_from_the_pause(wire):
    """The second half may not hold what the whole body might have."""
    body = reader_of(wire)
    wire.push(part(b"hello", more=True), part(b"world!"))
    chunks = body.chunks(limit=10)
    await anext(chunks)
    body.pause()
    assert [chunk async for chunk in chunks] == []

    with pytest.raises(LengthExceeded):
        await read(body, limit=5)


async def test_paused_body_can_be_drained(wire):
    """A store that failed after a pause must not leave the whole process turning in a circle."""
    body = reader_of(wire, length=100)
    wire.push(part(b"hello", more=True), part(bytes(16), more=True))
    await anext(body.chunks(limit=100))
    body.pause()

    async with asyncio.timeout(1):
        await body.drain(16, timeout_seconds=1)
    assert wire.read == 21


async def test_cancellation_by_others_goes_through(wire):
    """Only our own waking is swallowed, even when both come at once."""
    body = reader_of(wire, length=5)
    task = asyncio.create_task(read(body))
    await settle()
    body.stop()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_silent_body_ends_idle(wire, timer):
    body = reader_of(wire, length=5, timer=timer)
    wire.push(part(b"he", more=True))
    task = asyncio.create_task(read(body))
    await settle()
    timer.advance(seconds=59)
    await settle()
    assert not task.done()
    timer.advance(seconds=16)

    assert await task == [b"he"]
    assert body.ended_by is BodyEnd.IDLE


async def test_dripping_body_is_not_idle(wire, timer):
    """As long as something comes, however little, the client is there."""
    body = reader_of(wire, length=5, timer=timer)
    task = asyncio.create_task(read(body))
    for byte in (b"h", b"e", b"l", b"l"):
        wire.push(part(byte, more=True))
        await settle()
        timer.advance(seconds=50)
        await settle()
    wire.push(part(b"o"))

    assert b"".join(await task) == b"hello"
    assert body.ended_by is BodyEnd.COMPLETE


@pytest.mark.parametrize(("rate", "ended_by"), [(10, None), (11, BodyEnd.IDLE)])
async def test_body_slower_than_the_least_rate_ends(wire, timer, rate, ended_by):
    """A client that sends a byte now and then would hold its upload for ever."""
    body = reader_of(wire, length=10_000, timer=timer, rate=rate)
    task = asyncio.create_task(read(body))
    for _ in range(6):
        await settle()
        wire.push(part(bytes(150), more=True))  # ten bytes a second
        await settle()
        timer.advance(seconds=15)
    await settle()

    assert body.ended_by is ended_by
    body.stop()
    await task


async def test_slow_store_does_not_make_a_client_idle(wire, timer):
    """While nobody asks for bytes, none can come."""
    body = reader_of(wire, length=5, timer=timer)
    wire.push(part(b"he", more=True))
    chunks = body.chunks(limit=5)
    await anext(chunks)
    timer.advance(seconds=600)
    wire.push(part(b"llo"))

    assert [chunk async for chunk in chunks] == [b"llo"]
    assert body.ended_by is BodyEnd.COMPLETE


async def test_closed_reader_leaves_no_timer(wire, timer):
    body = reader_of(wire, length=5, timer=timer)
    wire.push(part(b"hello"))
    await read(body)
    body.close()

    assert timer.due == []


async def test_drain_stops_at_its_limit_or_time(wire, timer):
    """What a refused client still sends is read for a while, so that it sees the answer."""
    body = reader_of(wire, length=100, timer=timer)
    wire.push(part(bytes(8), more=True), part(bytes(8), more=True), part(bytes(8), more=True))
    await body.drain(16, timeout_seconds=1)
    assert wire.read == 16

    task = asyncio.create_task(body.drain(16, timeout_seconds=1))
    await settle()
    timer.advance(seconds=1)
    await task
    assert wire.read == 24


# ---- checksums


async def test_right_checksum_passes(wire):
    wire.push(part(b"he", more=True), part(b"llo"))

    assert await read(reader_of(wire, length=5), checksum=SHA1_HELLO) == [b"he", b"llo"]


@pytest.mark.parametrize(
    "messages", [[part(b"hullo")], [part(b"hell", more=True), DISCONNECT], [part(b"hello", more=True), DISCONNECT]]
)
async def test_wrong_or_unproven_checksum_is_refused(wire, messages):
    """uploads.md, 8: a cut request with Upload-Checksum keeps nothing."""
    wire.push(*messages)

    with pytest.raises(ChecksumMismatch):
        await read(reader_of(wire), checksum=SHA1_HELLO)


async def test_stopped_body_proves_no_checksum(wire):
    body = reader_of(wire, length=5)
    task = asyncio.create_task(read(body, checksum=SHA1_HELLO))
    await settle()
    body.stop()

    with pytest.raises(ChecksumMismatch):
        await task


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
async def test_checksum_in_the_trailer_is_compared(wire, algorithm):
    """Every algorithm that is announced may be named there, so all are computed until then."""
    digest = base64.b64encode(hashlib.new(algorithm, b"hello").digest())
    wire.push(part(b"hello"))
    body = reader_of(wire)
    wire.lines.append((b"upload-checksum", algorithm.encode() + b" " + digest))

    assert await read(body, checksum=IN_TRAILER) == [b"hello"]


@pytest.mark.parametrize(
    ("trailer", "fault"),
    [
        ([], ChecksumMismatch),
        ([(b"upload-checksum", b"sha1 " + base64.b64encode(bytes(20)))], ChecksumMismatch),
        ([(b"upload-checksum", b"sha3 AAAA")], ChecksumAlgorithmUnsupported),
    ],
)
async def test_trailer_that_proves_nothing_is_refused(wire, trailer, fault):
    """A header sent before the body cannot pose as the trailer that was announced."""
    wire.push(part(b"hello"))
    body = reader_of(wire)
    wire.lines.extend(trailer)

    with pytest.raises(fault):
        await read(body, checksum=IN_TRAILER)
