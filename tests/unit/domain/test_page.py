"""Cursors and paging arguments: what goes in comes out, and what we did not make is refused."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CursorInvalid, InvalidValue
from domain.file import FileStatus
from domain.page import PAGE_SIZE_MAX, Page, PageRequest, Position, decode_cursor, encode_cursor, page_request

SCOPE = "files of anna by name"
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
)


@given(VALUES, st.text(min_size=1))
def test_cursor_gives_the_place_back(value, identifier):
    """Any value a field may hold, any id."""
    position = Position(value, identifier)

    assert position == decode_cursor(encode_cursor(position, scope=SCOPE), scope=SCOPE)


def test_cursor_of_an_enum_holds_its_value():
    """Which is what a database compares."""
    cursor = encode_cursor(Position(FileStatus.READY, "file_1"), scope=SCOPE)

    assert Position("ready", "file_1") == decode_cursor(cursor, scope=SCOPE)


@given(VALUES)
def test_cursor_goes_with_its_list_alone(value):
    """In another filter or order its place means nothing."""
    cursor = encode_cursor(Position(value, "file_1"), scope=SCOPE)
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, scope=SCOPE + "!")


@given(st.text(max_size=200))
def test_text_is_refused_and_nothing_else_happens(text):
    """Whatever a client makes up is one kind of fault."""
    with pytest.raises(CursorInvalid):
        decode_cursor(text, scope=SCOPE)


def forged(value: Any, identifier: Any = "file_1", *more: Any) -> str:
    """Make a cursor by hand, with the right fingerprint, which is no secret."""
    honest = encode_cursor(Position(None, "x"), scope=SCOPE)
    fingerprint = json.loads(base64.urlsafe_b64decode(honest + "=="))[0]
    content = json.dumps([fingerprint, value, identifier, *more])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


FORGED = {
    "number": forged(1.5),
    "not a number": forged(float("nan")),
    "list": forged([1]),
    "no zone": forged({"t": "2026-11-21T12:00:00"}),
    "before all time": forged({"t": "0001-01-01T00:00:00+23:59"}),
    "no time": forged({"t": 5}),
    "no key": forged({"x": "2026-11-21T12:00:00Z"}),
    "id is a number": forged("a", 1),
    "too long": forged("a" * 3000),
    "too many": forged("a", "b", "c"),
    "deep": base64.urlsafe_b64encode(b"[" * 1500).decode(),
}


@pytest.mark.parametrize("cursor", FORGED.values(), ids=FORGED)
def test_forged_cursor_is_refused(cursor):
    """It must not reach a database as a value of another kind."""
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, scope=SCOPE)


def test_time_with_another_zone_is_the_same_moment():
    """Records hold UTC."""
    position = decode_cursor(forged({"t": "2026-11-21T13:00:00+01:00"}), scope=SCOPE)

    assert Position(datetime(2026, 11, 21, 12, 0, tzinfo=UTC), "file_1") == position


WRONG: dict[str, dict[str, Any]] = {
    "both": {"first": 1, "last": 1},
    "none of it": {"first": 0},
    "negative": {"last": -1},
    "too many": {"first": PAGE_SIZE_MAX + 1},
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_paging_is_refused(arguments):
    """With the name of the argument."""
    with pytest.raises(InvalidValue) as caught:
        page_request(**{"first": None, "after": None, "last": None, "before": None} | arguments, scope=SCOPE)

    assert caught.value.path[0] in arguments


def test_paging_arguments_become_a_request():
    """`last` counts from the end."""
    after = encode_cursor(Position("a", "1"), scope=SCOPE)
    before = encode_cursor(Position("z", "2"), scope=SCOPE)
    request = page_request(first=None, after=after, last=7, before=before, scope=SCOPE)

    assert PageRequest(7, Position("a", "1"), Position("z", "2"), from_end=True) == request


def test_page_maps_its_items():
    """And keeps what it knows of its neighbours."""
    assert Page(["1", "2"], has_next=True, has_previous=False) == Page([1, 2], True, False).map(str)
