"""Identifiers: their form, their order, and that nothing else passes for one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    id_of_uuid,
    is_id,
    new_event_id,
    new_file_id,
    new_session_id,
    new_tenant_id,
    new_upload_id,
    new_user_id,
    uuid_of,
    uuid_text_of,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MAKERS = {
    "tenant": lambda: new_tenant_id(NOON),
    "user": lambda: new_user_id(NOON),
    "file": lambda: new_file_id(NOON),
    "session": lambda: new_session_id(NOON),
    "event": lambda: new_event_id(NOON),
    "upload": new_upload_id,
}


@pytest.mark.parametrize(("prefix", "make"), MAKERS.items(), ids=MAKERS)
def test_new_ids_have_their_form_and_never_meet(prefix, make):
    """A thousand in the same millisecond are a thousand."""
    made = {make() for _ in range(1000)}

    assert len(made) == 1000
    assert all(is_id(one, prefix) for one in made)


def test_ids_sort_by_their_time():
    """Lists go by id where times are equal."""
    ids = [new_file_id(NOON + timedelta(milliseconds=number)) for number in range(100)]

    assert ids == sorted(ids)


def test_id_carries_a_uuid_of_version_seven():
    """REST clients know it as a UUID, whose first 48 bits are the time."""
    uuid = uuid_of(new_file_id(NOON))

    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert int(NOON.timestamp() * 1000) == uuid.int >> 80


def test_ids_of_uploads_tell_no_time():
    """Who knows one holds half of what is needed to write to it: every bit is random."""
    firsts = {new_upload_id()[7:10] for _ in range(200)}

    assert len(firsts) > 100


@given(st.uuids())
def test_uuid_and_id_are_two_forms_of_one(uuid):
    """Whatever 128 bits."""
    identifier = id_of_uuid("file", uuid)

    assert is_id(identifier, "file")
    assert uuid == uuid_of(identifier)


@given(st.from_regex(r"[a-z]{4}_[0-9a-z]{0,30}"))
def test_text_is_hardly_ever_an_id(text):
    """And what is one holds no character that means anything to a path, a URL or a database."""
    if is_id(text, "file"):
        assert text.removeprefix("file_").isalnum()
        assert text.isascii()


WRONG = [
    "",
    "file_",
    "file_" + "0" * 25,
    "file_" + "0" * 27,
    "file_8" + "0" * 25,  # more than 128 bits
    "file_" + "0" * 25 + "u",
    "file_" + "0" * 25 + "I",
    "FILE_" + "0" * 26,
    "user_" + "0" * 26,
    "file_" + "0" * 26 + "\n",
    " file_" + "0" * 26,
    "file_" + "\u0660" * 26,
    "file_../../../../../../etc/pas",
]


@pytest.mark.parametrize("text", WRONG)
def test_text_that_is_nearly_an_id_is_none(text):
    """Nothing else may reach a store as a key."""
    assert not is_id(text, "file")


def test_largest_id_is_one():
    """All 128 bits set."""
    assert is_id(id_of_uuid("file", UUID(int=2**128 - 1)), "file")


def test_uuid_is_written_as_its_object_writes_it():
    """The quick way gives the same text, leading zeros too."""
    for uuid in (UUID(int=0), UUID(int=1), UUID(int=2**128 - 1), uuid_of(new_file_id(NOON))):
        assert str(uuid) == uuid_text_of(id_of_uuid("file", uuid))
