"""Whatever comes, the answer is whole, in the protocol's form, and never a fault of ours."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.upload_client import DISCONNECT, UploadClient, part
from tests.support.upload_service import FakeUploadService
from upload.endpoint import UploadEndpoint
from upload.protocol.config import Config

VALUES = {
    "Tus-Resumable": ["1.0.0", "1.0.0", "1.0.0", "0.2.2"],
    "Content-Type": ["application/offset+octet-stream", "application/partial-upload", "text/plain; charset=\xff"],
    "Upload-Offset": ["0", "5", "-1", "9" * 30],
    "Upload-Length": ["0", "5", "10", "x", "9" * 30],
    "Upload-Defer-Length": ["1", "0"],
    "Upload-Metadata": ["a aGk=", "a,a", "\xe4 !"],
    "Upload-Concat": ["partial", "final;{a}", "final;x"],
    "Upload-Checksum": ["sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "sha1 AAAA", "crc32 AAAAAA=="],
    "Trailer": ["Upload-Checksum"],
    "Upload-Complete": ["?1", "?0", "1"],
    "Upload-Draft-Interop-Version": ["6", "10", "5"],
    "Content-Digest": ["sha-256=:AAAA:", "md5=:AA==:"],
    "Repr-Digest": ["sha-256=:" + "A" * 43 + "=:", "("],
    "Content-Disposition": ["inline; filename=x", "inline; filename*=UTF-8''%ff"],
    "X-HTTP-Method-Override": ["PATCH", "HEAD", "DELETE", "\x7f"],
    "Expect": ["100-continue"],
    "Origin": ["https://page.example"],
}
headers = st.lists(
    st.sampled_from([(name, value) for name, values in VALUES.items() for value in values]),
    max_size=7,
    unique_by=lambda pair: pair[0],
)
bodies = st.lists(st.sampled_from([b"hello", b"", b"x"]), min_size=1, max_size=3)


@given(
    st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "OPTIONS", "GET", "PUT", "TRACE"]),
    st.sampled_from(["/files/", "{a}", "/files/x", "/files/upload_00000000000000000000000000"]),
    headers,
    bodies,
    st.booleans(),
    st.booleans(),
)
async def test_any_request_is_answered(method, target, pairs, chunks, is_chunked, is_cut):
    """No 5xx, every field that is always there, and offsets that never fall."""
    service = FakeUploadService(length_max=1000)
    client = UploadClient(UploadEndpoint(service, Config(linger_seconds=0.001)))
    path = await client.create(10)
    await client.patch(path, 0, b"abc")
    framing = (
        ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(sum(map(len, chunks)) + is_cut))
    )
    lines = [(name, value.replace("{a}", path)) for name, value in [*pairs, framing]]

    wire, task = client.open(method, target.replace("{a}", path), lines)
    wire.push(*(part(chunk, more=True) for chunk in chunks), DISCONNECT if is_cut else part(b""))
    await task

    upload = service.uploads[path.rpartition("/")[2]]
    assert upload.offset >= 3
    assert upload.status.is_gone or service.stored[upload.id].startswith(b"abc")
    if wire.sent:
        answer = wire.response
        assert answer.status < 500
        assert {"tus-resumable", "cache-control", "access-control-allow-origin"} <= answer.headers.keys()
        assert (answer.status < 400) or method == "HEAD" or answer.problem["code"]
