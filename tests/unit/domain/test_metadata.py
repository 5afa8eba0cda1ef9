"""What a client says in Upload-Metadata, as values that are checked."""

import pytest

from domain.errors import InvalidValue
from domain.metadata import new_upload_of, parse_sha256
from domain.upload import CreateUpload

DIGEST = "ab" * 32


def new(**metadata: bytes):
    return new_upload_of(CreateUpload(5, metadata=tuple(metadata.items()), content_type="text/csv"))


def test_names_of_common_clients_are_understood():
    """tus-js-client and Uppy send both; the first of a pair wins."""
    both = new(filename=b"a.txt", name=b"b.txt", filetype=b"Image/PNG", type=b"text/plain")
    one = new(name=b"b.txt", type=b"text/plain")
    bad = new(filename=b"", type=b"nonsense")

    assert ("a.txt", "image/png") == (both.name, both.content_type)
    assert ("b.txt", "text/plain") == (one.name, one.content_type)
    assert ("unnamed", "text/csv") == (new().name, new().content_type)
    assert ("unnamed", "application/octet-stream") == (bad.name, bad.content_type)


def test_visibility_is_the_uploaders_to_say():
    """Private where nothing is said; what is none of the words is refused, not taken for the nearest."""
    assert ("private", "tenant") == (new().visibility.value, new(visibility=b"Tenant").visibility.value)
    with pytest.raises(InvalidValue, match="private, tenant, link, public"):
        new(visibility=b"everybody")


def test_everything_else_is_kept_as_it_came():
    """In order; keys that mean something to a database mean nothing here."""
    found = new_upload_of(CreateUpload(5, metadata=((b"$where".decode(), b"1"), ("a.b", b""), ("__proto__", b"x"))))

    assert [("$where", "1"), ("a.b", ""), ("__proto__", "x")] == [(one.key, one.value) for one in found.metadata]


def test_digest_is_taken_from_the_header_before_the_metadata():
    """Either way it is held against the bytes."""
    by_header = CreateUpload(5, metadata=(("sha256", b"no digest"),), digest=bytes.fromhex(DIGEST))

    assert DIGEST == new_upload_of(by_header).sha256
    assert DIGEST == new(sha256=DIGEST.upper().encode()).sha256
    assert new().sha256 is None


@pytest.mark.parametrize("metadata", [{"filename": b"\xff"}, {"filename": b" "}, {"sha256": b"ab"}, {"a": b"x" * 5000}])
def test_what_cannot_be_right_is_refused(metadata):
    """Before anything is begun."""
    with pytest.raises(InvalidValue):
        new(**metadata)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33, "\u0661" * 64, "0x" + "a" * 62])
def test_digest_has_its_digits(text):
    """64 of them, hexadecimal."""
    with pytest.raises(InvalidValue):
        parse_sha256(text)
