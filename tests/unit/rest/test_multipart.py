"""multipart/form-data in pieces of any size, and all the ways in which it can be broken."""

import os

import pytest

from domain.errors import InvalidValue
from rest.multipart import (
    HEAD_BYTES_MAX,
    PARTS_MAX,
    PREAMBLE_BYTES_MAX,
    MultipartParser,
    PartBegin,
    PartEnd,
    boundary_of,
)

BOUNDARY = b"xyz"
FORM = (
    b"preamble\r\n--xyz\r\n"
    b'Content-Disposition: form-data; name="resource"\r\n\r\nproduct\r\n--xyz \t\r\n'
    b'content-disposition: form-data; name="empty"\r\n\r\n\r\n--xyz\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a \xc3\xa4.csv"\r\nContent-Type: text/csv\r\n\r\n'
    b"a,b\r\n--xy\r\n\r\n--x\r\r\n--xyz--\r\nepilogue --xyz"
)
PARTS = [
    (PartBegin("resource", None, None), b"product"),
    (PartBegin("empty", None, None), b""),
    (PartBegin("file", "a ä.csv", "text/csv"), b"a,b\r\n--xy\r\n\r\n--x\r"),
]


def parts_of(pieces, boundary=BOUNDARY):
    parser = MultipartParser(boundary)
    parts: list = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, PartBegin):
                parts.append([event, b"", False])
            elif isinstance(event, PartEnd):
                parts[-1][2] = True
            else:
                assert event, "no event is empty"
                parts[-1][1] += event
    assert all(is_whole for *_, is_whole in parts if parser.is_done)
    return [(begin, content) for begin, content, _ in parts], parser.is_done


def part(disposition, content=b"x"):
    return b"--xyz\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n--xyz--\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, len(FORM)])
def test_pieces_of_any_size_give_the_same(size):
    """What is a boundary and what only begins like one does not depend on where the network cuts."""
    pieces = [FORM[start : start + size] for start in range(0, len(FORM), size)]

    assert (PARTS, True) == parts_of(pieces)


def test_every_single_cut_gives_the_same():
    """Each place in turn."""
    for cut in range(len(FORM)):
        assert (PARTS, True) == parts_of([FORM[:cut], FORM[cut:]]), cut


def test_any_bytes_come_back():
    """Random content with boundaries that are none, and no more held than could become one."""
    content = (os.urandom(3000) + b"\r\n--xy" + b"\r" * 50 + b"\r\n--\r\n") * 3
    form = part(b'form-data; name="file"; filename="a"', content)
    ((_, received),), is_done = parts_of([form[start : start + 997] for start in range(0, len(form), 997)])

    assert (content, True) == (received, is_done)


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        (b'form-data; name="file"; filename="my_file"', "my_file"),
        (b'form-data; name="file"; filename="../x.csv"', "../x.csv"),
        (b'form-data; name="file"; filename="a\\b.csv"', "a\\b.csv"),
        (b'form-data; name="file"; filename="say \\"hi\\".txt"', 'say "hi".txt'),
        (b'form-data; name="file"; filename="say %22hi%22%0D%0A%00.txt"', 'say "hi"\r\n%00.txt'),
        (b'form-data; name="file"; filename=""', ""),
        (b"form-data; name=file; filename=plain.txt", "plain.txt"),
        (b"form-data; name=file; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt", "€.txt"),
        ('form-data; name="file"; filename="\u202egpj.😀"'.encode(), "\u202egpj.😀"),
        (b'form-data; name="file"', None),
    ],
)
def test_names_come_as_they_were_given_R000_19(disposition, filename):
    """Browsers, curl and libraries escape differently; the name that was meant is what counts."""
    ((begin, _),), _ = parts_of([part(disposition)])

    assert PartBegin("file", filename, None) == begin


@pytest.mark.parametrize(
    "form",
    [
        part(b"attachment; name=a"),
        part(b"form-data; filename=a"),
        b"--xyz\r\n\r\nno head\r\n--xyz--",
        b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n--xyz--",
        b"--xyzzy\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--xyz--",
        b'--xyz\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--xyz--',
        b"--xyz\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''%ff\r\n\r\nx\r\n--xyz--",
        b"--xyz\r\nX: " + b"a" * (HEAD_BYTES_MAX + 10),
        b"--xyz" + b" " * (HEAD_BYTES_MAX + 10),
        b"a" * (PREAMBLE_BYTES_MAX + 10),
        b"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * (PARTS_MAX + 1),
    ],
)
def test_broken_forms_are_told_so(form):
    """As a fault of the client, whose memory is nobody's."""
    with pytest.raises(InvalidValue, match="no multipart/form-data"):
        parts_of([form[start : start + 4096] for start in range(0, len(form), 4096)])


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=xyz", b"xyz"),
        ('multipart/form-data; charset=utf-8; boundary="a b:c"', b"a b:c"),
        (
            "multipart/form-data; BOUNDARY=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_boundary_is_found(content_type, boundary):
    """In quotes or not, in any letter case, among other parameters."""
    assert boundary == boundary_of(content_type)


@pytest.mark.parametrize("tail", ["", "; boundary=", "; boundary=" + "a" * 71, '; boundary="a\x00"', "; boundary=ä"])
def test_boundary_that_is_none_is_refused(tail):
    """RFC 2046 says what one is."""
    with pytest.raises(InvalidValue):
        boundary_of("multipart/form-data" + tail)
