"""Records as documents and values, without a database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.records.codec import Codec, moment_text, stored
from domain.errors import InvalidValue
from domain.records import Kind
from tests.support.records import PARCELS, TALLIES, State, Tally, at, parcel

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(one=MOMENTS, other=MOMENTS)
def test_text_of_moments_orders_as_they_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (moment_text(one) < moment_text(other))


@given(moment=MOMENTS)
def test_text_of_a_moment_gives_it_back(moment: datetime) -> None:
    assert moment == datetime.fromisoformat(moment_text(moment))


def test_text_of_a_moment_has_one_width_and_zone() -> None:
    early = datetime(1, 1, 1, tzinfo=UTC)
    eastern = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    assert moment_text(early) == "0001-01-01T00:00:00.000000Z"
    assert moment_text(eastern) == moment_text(at(0)) == "2026-03-01T12:00:00.000000Z"
    assert moment_text(at(0.00001)) == "2026-03-01T12:00:00.000010Z"


def test_stored_values() -> None:
    values = [stored(value) for value in (State.SENT, None, True, 7, "x")]

    assert values == ["sent", None, True, 7, "x"]


def test_declared_fields_are_each_named_once() -> None:
    """The sequence and the fields of groups are declared by that."""
    codec = Codec(PARCELS)

    assert len(set(codec.fields)) == len(codec.fields)
    assert {"number", "code", "shelf", "slot", "title_folded"} <= set(codec.fields)
    assert not {"id", "tenant_id", "revision"} & set(codec.fields)
    assert codec.derived == {"title_folded"}


def test_fields_that_may_be_empty() -> None:
    codec = Codec(PARCELS)

    nullable = {field for field in (*codec.fields, "id") if codec.is_nullable(field)}

    assert nullable == {"expires_at", "owner", "code", "shelf", "slot"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    tenant_id: str
    revision: int = 0


def test_noun_is_the_record_in_words() -> None:
    assert (Codec(Kind("signing_keys", SigningKey)).noun, Codec(TALLIES).noun) == ("signing key", "tally")


@dataclass(frozen=True)
class Loose:
    """Without slots."""

    id: str
    tenant_id: str
    count: int = 0
    revision: int = 0


def test_change_leaves_the_original() -> None:
    tally, loose = Tally("t", "tenant_a", 1), Loose("t", "tenant_a", 1)

    changed = Codec(TALLIES).change(tally, {"count": 2, "revision": 3})
    also_changed = Codec(Kind("looses", Loose)).change(loose, {"count": 2})

    assert (Tally("t", "tenant_a", 2, 0, 3), Tally("t", "tenant_a", 1)) == (changed, tally)
    assert (Loose("t", "tenant_a", 2), Loose("t", "tenant_a", 1)) == (also_changed, loose)


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue):
        Codec(PARCELS).encode(parcel("one", title="\ud800"))
