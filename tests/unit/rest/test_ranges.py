"""Which bytes a request is after: a table, and the rule behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import RangeNotSatisfiable
from rest.ranges import ByteRange, is_not_modified, parse_range

ETAG = '"abc"'
TABLE = {
    None: (0, 10, False),
    "bytes=0-9": (0, 10, True),
    "bytes=0-": (0, 10, True),
    "bytes=9-9": (9, 10, True),
    "bytes=9-99999999999999999": (9, 10, True),
    "bytes=-1": (9, 10, True),
    "bytes=-10": (0, 10, True),
    "bytes=-11": (0, 10, True),
    "Bytes=1-2": (1, 3, True),
    " bytes = 1 - 2 ": (1, 3, True),
    "bytes=2-1": (0, 10, False),
    "bytes=-": (0, 10, False),
    "bytes=": (0, 10, False),
    "bytes=a-b": (0, 10, False),
    "bytes=1": (0, 10, False),
    "bytes=0-1,2-3": (0, 10, False),
    "bytes=--1": (0, 10, False),
    "bytes=0x1-2": (0, 10, False),
    "bytes=\u0661-": (0, 10, False),
    "bytes=" + "1" * 30 + "-": (0, 10, False),
    "items=0-1": (0, 10, False),
    "": (0, 10, False),
}


@pytest.mark.parametrize(("header", "expected"), TABLE.items())
def test_range_is_read_as_http_has_it(header, expected):
    """What is no range is ignored."""
    assert ByteRange(*expected) == parse_range(header, if_range=None, etag=ETAG, size=10)


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_range_outside_the_file_is_refused_with_its_size(header, size):
    """So that the client can ask again."""
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, if_range=None, etag=ETAG, size=size)

    assert size == caught.value.size


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_range_is_always_inside_the_file(first, last, size):
    """Or it is refused."""
    try:
        found = parse_range(f"bytes={first}-{last}", if_range=None, etag=ETAG, size=size)
    except RangeNotSatisfiable:
        assert first >= size
        return

    assert 0 <= found.start < found.end <= size
    assert list(range(size))[first : last + 1] == list(range(found.start, found.end)) or not found.is_partial


@pytest.mark.parametrize(
    ("if_range", "is_partial"),
    [(None, True), (ETAG, True), (f" {ETAG} ", True), (f"W/{ETAG}", False), ("Sat, 21 Nov 2026 12:00:00 GMT", False)],
)
def test_condition_needs_the_very_same_content(if_range, is_partial):
    """A strong comparison; a date never is one here."""
    assert is_partial is parse_range("bytes=0-1", if_range=if_range, etag=ETAG, size=10).is_partial


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        (None, False),
        ("*", True),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ('"x"', False),
        ("", False),
    ],
)
def test_known_content_is_recognised(if_none_match, expected):
    """A weak comparison."""
    assert expected is is_not_modified(if_none_match, etag=ETAG)
