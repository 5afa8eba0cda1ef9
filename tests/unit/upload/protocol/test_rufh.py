"""The IETF draft as functions: which requests are its own, and that any head is a command or a declared fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import LighterageError
from domain.upload import CreateUpload
from upload.protocol import rufh, tus1
from upload.protocol.config import Config
from upload.protocol.message import Headers, RequestHead

ID = "upload_00000000000000000000000001"
PARTIAL = (b"content-type", b"application/partial-upload")
BASE = {b"upload-complete": b"?1", b"content-type": b"application/partial-upload", b"upload-offset": b"3"}
NAMES = [
    *BASE,
    b"upload-length",
    b"upload-draft-interop-version",
    b"content-digest",
    b"repr-digest",
    b"content-disposition",
]


@pytest.mark.parametrize(
    ("method", "tail", "lines", "claimed"),
    [
        ("POST", "", [(b"upload-complete", b"?1")], True),
        ("POST", "", [(b"upload-draft-interop-version", b"6")], True),
        ("POST", "", [(b"upload-complete", b"?1"), (b"tus-resumable", b"1.0.0")], False),
        ("POST", "", [], False),
        ("POST", "", [(b"upload-length", b"5")], False),
        ("PATCH", ID, [PARTIAL], True),
        ("PATCH", ID, [(b"content-type", b"application/offset+octet-stream")], False),
        ("HEAD", ID, [], True),
        ("HEAD", ID, [(b"tus-resumable", b"0.2")], False),
        ("GET", ID, [], True),
        ("GET", "", [], False),
        ("DELETE", ID, [], True),
        ("DELETE", ID, [(b"x-http-method-override", b"PATCH")], False),
    ],
)
def test_dialects_are_told_apart_by_their_marks(method, tail, lines, claimed):
    assert rufh.claims(RequestHead(method, tail, Headers(lines))) is claimed


def test_creation_carries_what_the_head_says():
    """Representation metadata of the first request is the file's."""
    lines = [
        (b"upload-complete", b"?0"),
        (b"upload-length", b"10"),
        (b"content-type", b"image/png"),
        (b"content-disposition", b"inline; filename=\"a.png\"; filename*=UTF-8''%C3%A4.png"),
        (b"repr-digest", b"sha-256=:" + b"A" * 43 + b"=:"),
        (b"upload-metadata", b"album aGk="),
    ]
    head = RequestHead("POST", "", Headers(lines), body_length=4)

    assert rufh.parse(head, Config()) == CreateUpload(
        length=10,
        metadata=(("album", b"hi"), ("filename", "ä.png".encode())),
        metadata_header="album aGk=",
        has_body=True,
        body_length=4,
        content_type="image/png",
        is_last=False,
        digest=bytes(32),
    )


def test_every_fault_has_a_status_here_too():
    assert rufh.STATUS_BY_CODE.keys() == tus1.STATUS_BY_CODE.keys()


@given(
    st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "GET", "PUT", ""]),
    st.sampled_from(["", ID, ID + "/", "..", "\0"]),
    st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=12) | st.sampled_from([b"6", b"10", b"?0"])),
    st.none() | st.integers(0, 2**70),
)
def test_any_head_is_a_command_or_a_declared_fault(method, tail, values, body_length):
    """The error boundary is for our mistakes, not for a client's."""
    head = RequestHead(method, tail, Headers((BASE | values).items()), body_length=body_length)
    try:
        rufh.parse(head, Config())
    except LighterageError as error:
        assert rufh.format_error(error, head, Config()).status in range(400, 500)  # noqa: PT017
