"""What a file is, told by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content import SNIFF_BYTES, UNKNOWN, is_allowed, parse_media_type, sniff

# beginning, name, declared, found
TABLE = {
    "png": (b"\x89PNG\r\n\x1a\n rest", "a.txt", "text/plain", "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0", "a", UNKNOWN, "image/jpeg"),
    "gif": (b"GIF89a..", "a", UNKNOWN, "image/gif"),
    "webp": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a", UNKNOWN, "image/webp"),
    "wav": (b"RIFF\x10\x00\x00\x00WAVEfmt ", "a", UNKNOWN, "audio/wav"),
    "riff of no kind": (b"RIFF\x10\x00\x00\x00XXXX", "a", "audio/x", "audio/x"),
    "mp4": (b"\x00\x00\x00\x18ftypisom", "a", UNKNOWN, "video/mp4"),
    "heic": (b"\x00\x00\x00\x18ftypheic", "a", UNKNOWN, "image/heic"),
    "pdf": (b"%PDF-1.7", "a", "text/html", "application/pdf"),
    "gzip": (b"\x1f\x8b\x08\x00", "a.csv.gz", "text/csv", "application/gzip"),
    "zstd": (b"\x28\xb5\x2f\xfd..", "a", UNKNOWN, "application/zstd"),
    "parquet": (b"PAR1\x15", "a", UNKNOWN, "application/vnd.apache.parquet"),
    "tar": (bytes(257) + b"ustar\x0000", "a", UNKNOWN, "application/x-tar"),
    "program": (b"MZ\x90\x00", "photo.png", "image/png", "application/vnd.microsoft.portable-executable"),
    "elf": (b"\x7fELF\x02", "a.csv", "text/csv", "application/x-elf"),
    "zip": (b"PK\x03\x04..", "a.zip", UNKNOWN, "application/zip"),
    "office": (b"PK\x03\x04..", "a.docx", "application/vnd.ms-word", "application/vnd.ms-word"),
    "zip called a picture": (b"PK\x03\x04..", "a.png", "image/png", "application/zip"),
    "zip called a pdf": (b"PK\x03\x04..", "a.pdf", "application/pdf", "application/zip"),
    "csv": (b"a,b\n1,2\n", "a.CSV", UNKNOWN, "text/csv"),
    "csv called json": (b"a,b\n1,2\n", "a.csv", "application/json", "text/csv"),
    "json": (b'{"a": 1}', "a.json", UNKNOWN, "application/json"),
    "html": (b"<script>", "a.html", "image/png", "text/html"),
    "svg": (b"<svg>", "a.svg", "image/png", "image/svg+xml"),
    "text without a name": (b"hello", "README", UNKNOWN, "text/plain"),
    "text that was declared": (b"select 1", "a.q", "application/sql", "application/sql"),
    "text called a picture": (b"hello", "a", "image/png", "text/plain"),
    "binary called text": (b"\x00\x01\x02", "a.csv", "text/csv", UNKNOWN),
    "binary of a kind we do not know": (b"\x00\x01\x02", "a", "application/x-own", "application/x-own"),
    "utf-8": ("größe".encode(), "a.txt", UNKNOWN, "text/plain"),
    "nothing": (b"", "a.csv", "text/csv", "text/csv"),
}


@pytest.mark.parametrize(("beginning", "name", "declared", "found"), TABLE.values(), ids=TABLE)
def test_type_is_what_the_bytes_say(beginning, name, declared, found):
    """Before what the client says; the name decides only between kinds of text."""
    assert found == sniff(beginning, name=name, declared=declared)


@given(st.binary(max_size=SNIFF_BYTES), st.text(max_size=20))
def test_any_bytes_have_a_type_that_can_be_sent_back(beginning, name):
    """It becomes a header of every download."""
    found = sniff(beginning, name=name, declared=UNKNOWN)

    assert found == parse_media_type(found)


DECLARED = {
    "Text/CSV; charset=utf-8": "text/csv",
    " image/png ": "image/png",
    "application/vnd.api+json": "application/vnd.api+json",
    "": UNKNOWN,
    "text": UNKNOWN,
    "text/": UNKNOWN,
    "text/html\r\nX: y": UNKNOWN,
    "text/html, text/plain": UNKNOWN,
    "größe/x": UNKNOWN,
    "a" * 65 + "/b": UNKNOWN,
}


@pytest.mark.parametrize(("text", "media_type"), DECLARED.items())
def test_declared_type_is_a_type_or_unknown(text, media_type):
    """Nothing of a client's goes into our headers unread."""
    assert media_type == parse_media_type(text)
    assert parse_media_type(None) == UNKNOWN


@pytest.mark.parametrize(
    ("content_type", "patterns", "allowed"),
    [
        ("image/png", None, True),
        ("image/png", (), False),
        ("image/png", ("image/*",), True),
        ("image/png", ("text/*", "image/png"), True),
        ("imagex/png", ("image/*",), False),
        ("text/html", ("image/*", "text/plain"), False),
    ],
)
def test_types_are_allowed_by_family_or_name(content_type, patterns, allowed):
    """None is every type; an empty list is none."""
    assert allowed is is_allowed(content_type, patterns)
