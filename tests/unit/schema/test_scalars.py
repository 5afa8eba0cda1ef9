"""Scalars at their edges."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from schema.scalars import BIG_INT_MAX, read_big_int, read_timestamp, write_big_int, write_json, write_timestamp


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (-5, -5), ("42", 42), ("-1", -1), (7.0, 7), (BIG_INT_MAX, BIG_INT_MAX), (str(BIG_INT_MAX), BIG_INT_MAX)],
)
def test_big_int_takes_numbers_and_their_texts(value: object, number: int) -> None:
    """JSON of some languages cannot write large numbers."""
    assert read_big_int(value) == number


@pytest.mark.parametrize(
    "value", [True, None, 1.5, float("inf"), float("nan"), BIG_INT_MAX + 1, "", "1e3", "٣", "9" * 17, " 1", [], {}]
)
def test_big_int_refuses_the_rest(value: object) -> None:
    """Rather than rounding, or reading what was not meant."""
    with pytest.raises(ValueError, match="takes"):
        read_big_int(value)


def test_big_int_never_writes_what_json_would_round() -> None:
    """A limit of 2^63-1 is shown as the largest exact number."""
    assert write_big_int(2**63 - 1) == BIG_INT_MAX


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.5z", datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123999999+02:00", datetime(2026, 1, 31, 10, 0, 0, 123_000, tzinfo=UTC)),
    ],
)
def test_timestamps_are_read_to_the_millisecond(text: str, moment: datetime) -> None:
    """What every face and database keeps."""
    assert read_timestamp(text) == moment


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-30T12:00:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        0,
        None,
    ],
)
def test_timestamps_without_one_meaning_are_refused(value: object) -> None:
    """No offset, no such day, another calendar's form."""
    with pytest.raises(ValueError, match="takes"):
        read_timestamp(value)


def test_timestamps_are_written_in_utc() -> None:
    """With milliseconds, always."""
    moment = datetime(2026, 1, 31, 14, 0, 0, 120_999, tzinfo=timezone(timedelta(hours=2)))

    assert write_timestamp(moment) == "2026-01-31T12:00:00.120Z"


def test_cells_keep_what_json_can_hold() -> None:
    """The rest goes as text rather than wrong."""
    row = [None, True, "00501", 1.5, 2**60, float("inf"), Decimal("1.10"), [1, {2: 3}]]

    assert write_json(row) == [None, True, "00501", 1.5, str(2**60), "inf", "1.10", [1, {"2": 3}]]
