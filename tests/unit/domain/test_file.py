"""Names, keys and metadata of files: what is kept, what is made safe, what is refused."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FileNotReady, InvalidValue
from domain.file import (
    EVERYONE,
    METADATA_ENTRIES_MAX,
    NAME_LENGTH_MAX,
    File,
    FileStatus,
    Visibility,
    blob_key,
    fold,
    parse_metadata,
    parse_name,
    parse_resource,
)
from domain.ids import id_of_uuid, uuid_of
from tests.support.product import NOON

ONE, TWO = (id_of_uuid("file", uuid_of(f"file_0000000000000000000000000{digit}")) for digit in "12")

# Row 000.19 and a few more.
NAMES = {
    "parent": "../x.csv",
    "backslash": "a\\b.csv",
    "control": "a\x01\x1f\x7fb.csv",
    "percent": "a%00b.csv",
    "emoji": "🦆.csv",
    "right to left": "\u202egpj.exe",
    "trailing dot": "a.",
    "trailing space": "a ",
    "soap": "soap",
    "query": "?#&.csv",
    "composed": "\u00e9.csv",
    "decomposed": "e\u0301.csv",
    "dots": "...",
    "dot": ".",
    "hidden": ".env",
    "slash": "/",
    "absolute": "/etc/passwd",
    "drive": "C:\\x",
    "newline": "a\nb",
    "comma": "a,b~c.csv",
    "long": "x" * NAME_LENGTH_MAX,
    "long suffix": "a." + "x" * (NAME_LENGTH_MAX - 2),
    "long stem": "x" * (NAME_LENGTH_MAX - 4) + ".csv",
    "long dots": "x" * 200 + ".",
}
SAFE_SEGMENT = re.compile(r"[A-Za-z0-9!_*'()@+-][A-Za-z0-9!_.*'()@+-]{0,159}")


def check_key(name: str, folder: str) -> None:
    key = blob_key(ONE, folder=folder, name=name)
    segments = key.split("/")

    assert len(segments) == 3
    assert str(uuid_of(ONE)) == segments[1]
    assert all(SAFE_SEGMENT.fullmatch(segment) for segment in segments), key
    assert len(key.encode()) <= 1024


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_makes_a_safe_key_R000_19(name):
    """Taken as it is, stored as every store can keep it."""
    assert name == parse_name(name)
    check_key(name, "anna@example.org")


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_no_name_leaves_its_folder(name, folder):
    """Whatever is typed: three segments, none empty, none of dots."""
    check_key(name, folder)


def test_key_begins_with_the_uploaders_address_R000_18():
    """Somebody who looks into the bucket sees whose it is."""
    assert blob_key(ONE, folder="anna@example.org", name="a b.csv") == f"anna@example.org/{uuid_of(ONE)}/a_b.csv"


@pytest.mark.parametrize(("one", "two"), [("a b", "a?b"), ("\u00e9", "e\u0301"), ("same", "same"), ("..", "...")])
def test_names_that_become_the_same_do_not_meet_R000_20(one, two):
    """The id keeps them apart."""
    assert blob_key(ONE, folder="a", name=one) != blob_key(TWO, folder="a", name=two)


def test_suffix_of_a_long_name_stays():
    """Programs and people go by it."""
    assert blob_key(ONE, folder="a", name="x" * 900 + ".parquet").endswith("x.parquet")


WRONG_NAMES = ["", " ", "\t\n", "a\x00b", "\ud800", "a\udfff", "x" * (NAME_LENGTH_MAX + 1)]


@pytest.mark.parametrize("name", WRONG_NAMES, ids=repr)
def test_name_that_nobody_could_want_back_is_refused(name):
    """Empty, endless, or no text at all."""
    with pytest.raises(InvalidValue) as caught:
        parse_name(name)

    assert caught.value.path == ("name",)


@given(st.text())
def test_folding_knows_no_case_and_no_composition(text):
    """Search finds what looks the same."""
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text))


WRONG_METADATA = {
    "too many": [(str(number), "") for number in range(METADATA_ENTRIES_MAX + 1)],
    "twice": [("a", "1"), ("a", "2")],
    "no key": [("", "1")],
    "long key": [("a" * 129, "1")],
    "long value": [("a", "1" * 4097)],
}


@pytest.mark.parametrize("entries", WRONG_METADATA.values(), ids=WRONG_METADATA)
def test_metadata_past_its_bounds_is_refused(entries):
    """Every buffer has a bound."""
    with pytest.raises(InvalidValue):
        parse_metadata(entries)


@pytest.mark.parametrize(("type", "id"), [("", "1"), ("a", ""), ("a/b", "1"), ("a", "1\n"), ("a" * 129, "1")])
def test_resource_that_is_no_name_is_refused(type, id):
    """It becomes part of addresses."""
    with pytest.raises(InvalidValue):
        parse_resource(type, id)


def a_file(**changes) -> File:
    values = {
        "id": ONE,
        "tenant_id": "tenant_a",
        "name": "a.txt",
        "content_type": "text/plain",
        "size": 1,
        "key": blob_key(ONE, folder="a", name="a.txt"),
        "etag": "e",
        "uploaded_by": "user_anna",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return File(**values | changes)


@pytest.mark.parametrize(
    ("visibility", "uploaded_by", "audience"),
    [
        (Visibility.PRIVATE, "user_anna", "user_anna"),
        (Visibility.LINK, "user_anna", "user_anna"),
        (Visibility.TENANT, "user_anna", EVERYONE),
        (Visibility.PUBLIC, "user_anna", EVERYONE),
        (Visibility.PRIVATE, None, EVERYONE),
    ],
)
def test_audience_is_who_finds_a_file_in_lists(visibility, uploaded_by, audience):
    """A link is for those who have it, not for those who look around."""
    assert audience == a_file(visibility=visibility, uploaded_by=uploaded_by).audience


@pytest.mark.parametrize("status", [status for status in FileStatus if status is not FileStatus.READY])
def test_only_a_ready_file_may_be_read(status):
    """What is not checked, or failed its check, gives no bytes."""
    a_file().require_ready()
    with pytest.raises(FileNotReady):
        a_file(status=status).require_ready()
