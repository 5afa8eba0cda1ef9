"""Event-stream messages, read back by the SDK's own parser."""

from botocore.eventstream import EventStreamBuffer

from rest import eventstream


def read(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(dict(one.headers), one.payload) for one in buffer]


def test_messages_are_what_the_sdk_reads() -> None:
    """botocore checks both checksums and the lengths of every message."""
    stream = eventstream.records(b"a,b\n") + eventstream.continuation() + eventstream.end()

    assert read(stream) == [
        ({":message-type": "event", ":event-type": "Records", ":content-type": "application/octet-stream"}, b"a,b\n"),
        ({":message-type": "event", ":event-type": "Cont"}, b""),
        ({":message-type": "event", ":event-type": "End"}, b""),
    ]


def test_statistics_carry_the_three_counts() -> None:
    """Stats and Progress differ in the name of the element only."""
    (stats,) = read(eventstream.statistics(scanned_bytes=3, processed_bytes=2, returned_bytes=1))
    (progress,) = read(eventstream.progress(scanned_bytes=3, processed_bytes=2, returned_bytes=1))

    counts = b"<BytesScanned>3</BytesScanned><BytesProcessed>2</BytesProcessed><BytesReturned>1</BytesReturned>"
    assert b"<Stats>" + counts + b"</Stats>" in stats[1]
    assert b"<Progress>" + counts + b"</Progress>" in progress[1]
    assert (stats[0][":event-type"], progress[0][":event-type"]) == ("Stats", "Progress")


def test_error_ends_a_stream() -> None:
    """An error after the first record has no status code any more; it is a message."""
    ((headers, payload),) = read(eventstream.error("CastFailed", "no number"))

    assert headers == {":error-code": "CastFailed", ":error-message": "no number", ":message-type": "error"}
    assert payload == b""
