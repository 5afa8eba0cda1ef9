"""Header fields: what each takes, what it refuses, and that nothing else ever comes out of a parser."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvalidValue, LengthExceeded, LighterageError
from domain.file import METADATA_ENTRIES_MAX
from domain.ids import UploadId, new_upload_id
from domain.upload import LENGTH_MAX, Checksum, Concatenation
from upload.protocol import headers
from upload.protocol.checksums import available_algorithms
from upload.protocol.errors import ChecksumAlgorithmUnsupported

A, B = UploadId("upload_00000000000000000000000001"), UploadId("upload_00000000000000000000000002")
PREFIXES = ("/api/files/", "/files/")

field_values = st.text(st.characters(max_codepoint=255)) | st.text('0123456789 ,;:=?+-_*abcfinAB/"\\')


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), (str(LENGTH_MAX), LENGTH_MAX)])
def test_digits_are_numbers(text, number):
    assert (headers.parse_offset(text), headers.parse_length(text)) == (number, number)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1_0", "1.0", " 1", "1 ", "\u0661", "\xb2", "1e3", "0x1", "1,1", "1\n"]
)
def test_anything_else_is_no_number(text):
    """Python's int() takes half of these."""
    for parse in (headers.parse_offset, headers.parse_length):
        with pytest.raises(InvalidValue):
            parse(text)


@pytest.mark.parametrize("text", [str(LENGTH_MAX + 1), "9" * 5000])
def test_number_past_every_store_is_an_excess(text):
    """uploads.md, 9: above 2^63 is 400 or 413, not 500; int() itself refuses 5,000 digits."""
    with pytest.raises(LengthExceeded):
        headers.parse_length(text)
    with pytest.raises(InvalidValue):
        headers.parse_offset(text)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("a", (("a", b""),)),
        ("a ", (("a", b""),)),
        ("a aGk=", (("a", b"hi"),)),
        ("a aGk=,b", (("a", b"hi"), ("b", b""))),
        ("a aGk=, b ,c eA==", (("a", b"hi"), ("b", b""), ("c", b"x"))),
        ("$a.b/__proto__ aGk=", (("$a.b/__proto__", b"hi"),)),
        ("bytes AP8=", (("bytes", b"\x00\xff"),)),
    ],
)
def test_metadata_keeps_order_and_bytes(text, pairs):
    assert headers.parse_metadata(text) == pairs


def test_metadata_has_a_bound():
    """A header bomb costs no more than a look."""
    full = ",".join(f"k{number}" for number in range(METADATA_ENTRIES_MAX))

    assert len(headers.parse_metadata(full)) == METADATA_ENTRIES_MAX
    with pytest.raises(InvalidValue):
        headers.parse_metadata(full + ",one-more")


def test_checksum_names_its_algorithm():
    assert headers.parse_checksum("crc32 AAAAAA==", algorithms=("crc32",)) == Checksum("crc32", bytes(4))
    with pytest.raises(ChecksumAlgorithmUnsupported):
        headers.parse_checksum("crc32 AAAAAA==", algorithms=("sha1",))
    with pytest.raises(InvalidValue):
        headers.parse_checksum("sha1 AAAAAA==", algorithms=("sha1",))


@pytest.mark.parametrize(
    "address",
    [
        f"/files/{A}",
        f"/api/files/{A}",
        f"https://x.example/files/{A}",
        f"//x.example/files/{A}",
        A,
        f"./{A}",
        f"files/{A}",
    ],
)
def test_final_upload_names_its_parts(address):
    """Absolute and relative addresses are the same upload's; the order is the client's."""
    text = f"final;/files/{B} {address}"

    assert headers.parse_concat(text, location_prefixes=PREFIXES) == (Concatenation.FINAL, (B, A))


@pytest.mark.parametrize(
    "address", ["/files/", "/files/x", f"/other/{A}", f"/files/../{A}", f"/files/{A}/", f"/files//{A}", "http://["]
)
def test_address_of_something_else_is_no_part(address):
    with pytest.raises(InvalidValue):
        headers.parse_concat(f"final;{address}", location_prefixes=PREFIXES)


def test_final_upload_has_a_bound():
    many = " ".join([A] * (headers.MEMBERS_MAX + 1))

    with pytest.raises(InvalidValue):
        headers.parse_concat("final;" + many, location_prefixes=PREFIXES)


@given(st.lists(st.builds(new_upload_id), min_size=1, max_size=4))
def test_concatenation_survives_writing(members):
    text = headers.format_concat(Concatenation.FINAL, tuple(members), location_prefix="/files/")

    assert headers.parse_concat(text, location_prefixes=PREFIXES) == (Concatenation.FINAL, tuple(members))


@given(st.integers(0, 253_000_000_000), st.sampled_from([0, 9, -5]))
def test_time_is_written_as_http_has_it(seconds, hours):
    """The standard library does the same, at thrice the time."""
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))

    assert headers.format_time(moment) == format_datetime(moment.astimezone(UTC), usegmt=True)


@given(field_values)
@example("1" * 5000)
def test_parsers_raise_nothing_but_what_they_declare(text):
    """Whatever a client sends, it is an answer and not a trace."""
    for parse in (
        headers.parse_offset,
        headers.parse_length,
        headers.parse_defer_length,
        headers.parse_metadata,
        lambda value: headers.parse_checksum(value, algorithms=available_algorithms()),
        lambda value: headers.parse_checksum("sha1 " + value, algorithms=available_algorithms()),
        lambda value: headers.parse_concat(value, location_prefixes=PREFIXES),
        lambda value: headers.parse_concat("final;" + value, location_prefixes=PREFIXES),
        lambda value: headers.names_field(value, "upload-checksum"),
    ):
        try:
            parse(text)
        except LighterageError as error:
            assert error.message  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('inline; filename="a b.txt"', "a b.txt"),
        ("attachment; filename=a.txt", "a.txt"),
        ('inline; filename="a \\"b\\".txt"', 'a "b".txt'),
        ('form-data; name="file"; filename="semi;colon.txt"', "semi;colon.txt"),
        ("inline; filename=\"plain.txt\"; filename*=UTF-8''%c3%a4%20b.txt", "ä b.txt"),
        ("inline; filename*=iso-8859-1''x.txt; filename=y.txt", "y.txt"),
        ('inline; filename=""', ""),
        ("inline", None),
        ("", None),
        ("inline; filename", None),
        ('inline; filename="open', None),
    ],
)
def test_disposition_names_the_file(text, name):
    """RFC 6266, 4.3: filename* before filename."""
    parsed = headers.parse_disposition_name(text)

    assert (None if parsed is None else parsed.decode()) == name


@given(field_values)
def test_digests_and_dispositions_raise_nothing_else(text):
    for parse in (headers.parse_repr_digest, headers.parse_content_digest, headers.parse_disposition_name):
        for value in (text, f"sha-256={text}", f"inline; filename={text}", f"inline; filename*=UTF-8''{text}"):
            try:
                parse(value)
            except InvalidValue as error:
                assert error.path  # noqa: PT017
