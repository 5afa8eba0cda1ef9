"""Requests and answers as values."""

import pytest

from upload.protocol.message import Headers, parse_body_length


def test_repeated_field_is_one_list():
    """RFC 9110, 5.3: so a number that comes twice is none, and nobody can smuggle a second one past a check."""
    headers = Headers([(b"upload-offset", b"1"), (b"host", b"x"), (b"upload-offset", b"1")])

    assert headers.find(b"upload-offset") == "1, 1"
    assert headers.find(b"tus-resumable") is None
    assert b"host" in headers


@pytest.mark.parametrize(
    ("lines", "http_version", "length"),
    [
        ([], "1.1", 0),
        ([], "2", None),
        ([(b"content-length", b"0")], "1.1", 0),
        ([(b"content-length", b"7")], "2", 7),
        ([(b"transfer-encoding", b"chunked")], "1.1", None),
        ([(b"content-length", b"7"), (b"transfer-encoding", b"chunked")], "1.1", None),
        ([(b"content-length", b"7 ")], "1.1", 7),
        ([(b"content-length", b"18446744073709551615")], "1.1", 2**64 - 1),
        ([(b"content-length", b"+7")], "1.1", None),
        ([(b"content-length", b"7"), (b"content-length", b"7")], "1.1", None),
        ([(b"content-length", b"9" * 5000)], "1.1", None),
    ],
)
def test_body_is_as_long_as_its_framing_says(lines, http_version, length):
    """RFC 9112, 6.3: "Transfer-Encoding overrides the Content-Length"."""
    assert parse_body_length(Headers(lines), http_version=http_version) == length
