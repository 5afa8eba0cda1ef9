"""tus 1.0 as functions: whatever a request head says, a command or a declared fault comes out."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain.errors
import upload.protocol.errors
from domain.errors import LighterageError, NotFound, RateLimited, TokenInvalid, Unauthenticated
from domain.upload import AppendBytes, GetOptions
from upload.protocol import tus1
from upload.protocol.config import Config
from upload.protocol.message import Headers, RequestHead

CODES = sorted(
    {
        kind.code
        for module in (domain.errors, upload.protocol.errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, LighterageError) and kind is not LighterageError
    }
)
ID = "upload_00000000000000000000000001"
BASE = {
    b"tus-resumable": b"1.0.0",
    b"content-type": b"application/offset+octet-stream",
    b"upload-offset": b"3",
    b"upload-length": b"10",
}
NAMES = [*BASE, b"upload-metadata", b"upload-concat", b"upload-checksum", b"upload-defer-length", b"trailer"]
HEAD = RequestHead("PATCH", ID, Headers(BASE.items()), body_length=4)


@pytest.mark.parametrize("code", CODES)
def test_every_fault_has_a_status(code):
    """A new fault must be thought about on every face."""
    assert 400 <= tus1.STATUS_BY_CODE[code] <= 599


def test_table_holds_no_stranger():
    assert sorted(tus1.STATUS_BY_CODE) == CODES


def test_append_carries_what_the_head_says():
    assert tus1.parse(HEAD, Config()) == AppendBytes(tus1.parse_upload_id(ID), 3, body_length=4, length=10)


def test_options_needs_no_version():
    assert tus1.parse(RequestHead("OPTIONS", "", Headers([])), Config()) == GetOptions()


@pytest.mark.parametrize(
    ("fault", "status", "field"),
    [
        (Unauthenticated("no"), 401, (b"www-authenticate", b'Bearer realm="lighterage"')),
        (TokenInvalid("no"), 401, (b"www-authenticate", b'Bearer realm="lighterage", error="invalid_token"')),
        (RateLimited(retry_after_seconds=7), 429, (b"retry-after", b"7")),
        (NotFound("upload"), 404, (b"content-type", b"application/problem+json")),
    ],
)
def test_fault_brings_its_fields(fault, status, field):
    answer = tus1.format_error(fault, HEAD, Config())

    assert answer.status == status
    assert field in answer.headers


@given(
    st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "GET", ""]),
    st.sampled_from(["", ID, ID + "/", "../" + ID, "upload_", "\0"]),
    st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=12)),
    st.none() | st.integers(0, 2**70),
)
def test_any_head_is_a_command_or_a_declared_fault(method, tail, values, body_length):
    """The error boundary is for our mistakes, not for a client's."""
    head = RequestHead(method, tail, Headers((BASE | values).items()), body_length=body_length)
    try:
        tus1.parse(head, Config())
    except LighterageError as error:
        assert tus1.format_error(error, head, Config()).status in range(400, 500)  # noqa: PT017
