"""
The IETF's Resumable Uploads for HTTP, rule by rule.

Quotes are of draft-ietf-httpbis-resumable-upload's newest text; "-05" marks those of the draft with interop version 6,
which Apple's URLSession speaks.
"""

import base64
import hashlib

import pytest

from tests.support.upload_cases import Case, Step, check_case
from tests.support.upload_client import UploadClient, part
from tests.support.upload_service import FakeUploadService
from upload.endpoint import UploadEndpoint
from upload.protocol.config import Config

NOWHERE = "/files/upload_00000000000000000000000000"
MISMATCHING_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
INCONSISTENT_LENGTH = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"
COMPLETED = "https://iana.org/assignments/http-problem-types#completed-upload"

MORE = {"Upload-Complete": "?0"}
LAST = {"Upload-Complete": "?1"}
APPLE = {"Upload-Draft-Interop-Version": "6"}
NEWEST = {"Upload-Draft-Interop-Version": "10"}
PARTIAL = {"Content-Type": "application/partial-upload"}

CREATE = Step("POST /files/", MORE, b"", 201, saves="a")
HALF = Step("POST /files/", MORE | {"Upload-Length": "10"}, b"hello", 201, saves="a")


def at(offset: object, *more: dict[str, str]) -> dict[str, str]:
    headers = PARTIAL | {"Upload-Offset": str(offset)}
    for fields in more:
        headers |= fields
    return headers


def head(status: int = 204, **fields: str | None) -> Step:
    return Step("HEAD {a}", status=status, fields={name.replace("_", "-"): v for name, v in fields.items()})


def refused(request: str, headers: dict[str, str], status: int, body: bytes | None = b"", **members: object) -> Step:
    fields = {"Content-Type": "application/problem.json", "Upload-Complete": r"\?0"}
    return Step(request, headers, body, status, fields=fields, members=members)


def digest(algorithm: str, content: bytes) -> str:
    encoded = base64.b64encode(hashlib.new(algorithm.replace("-", ""), content).digest()).decode()
    return f"{algorithm}=:{encoded}:"


CREATION = {
    "whole file at once": Case(
        "If the Upload-Complete request header field is set to true, the client intends to transfer the entire "
        "representation data in one request. If the request content was fully processed, no resumable upload is needed",
        (
            Step(
                "POST /files/", LAST, b"hello", 201, fields={"Upload-Complete": r"\?1", "Upload-Offset": "5"}, saves="a"
            ),
        ),
        stored={"a": b"hello"},
    ),
    "whole file, length unknown": Case(
        "The server might not know the length until the upload is complete.",
        (
            Step(
                "POST /files/", LAST, chunks=(b"hel", b"lo"), status=201, fields={"Upload-Complete": r"\?1"}, saves="a"
            ),
            head(upload_length="5"),
        ),
        stored={"a": b"hello"},
    ),
    "any method with content": Case(
        "all request methods that allow content are possible, such as POST, PUT, and PATCH",
        (Step("PUT /files/", LAST, b"hello", 201, fields={"Upload-Complete": r"\?1"}),),
    ),
    "first part": Case(
        "If the Upload-Complete request header field is set to false, [...] the server MUST include the Location "
        "response header field pointing to the upload resource and MUST include the Upload-Limit header field with "
        "the corresponding limits if existing. Servers are RECOMMENDED to use the 201 (Created) status code.",
        (
            Step(
                "POST /files/",
                MORE,
                b"hello",
                201,
                fields={
                    "Location": "/files/upload_[0-9a-z]{26}",
                    "Upload-Complete": r"\?0",
                    "Upload-Offset": "5",
                    "Upload-Limit": "max-size=1000",
                },
                saves="a",
            ),
        ),
        length_max=1000,
        stored={"a": b"hello"},
    ),
    "no content yet": Case(
        "The request content can be empty. [...] An Upload-Complete header field set to false is also valid.",
        (CREATE, head(upload_offset="0", upload_length=None, upload_complete=r"\?0")),
    ),
    "empty file": Case(
        "If the Upload-Complete header field is then set to true, the client intends to upload an empty "
        "representation.",
        (
            Step("POST /files/", LAST, b"", 201, fields={"Upload-Complete": r"\?1"}, saves="a"),
            head(upload_complete=r"\?1", upload_length="0"),
        ),
    ),
    "lengths that differ": Case(
        "If indicators (1) and (2) are both present in the same request, their indicated lengths MUST match.",
        (
            refused("POST /files/", LAST | {"Upload-Length": "6"}, 400, b"hello", type=INCONSISTENT_LENGTH),
            Step("POST /files/", LAST | {"Upload-Length": "5"}, b"hello", 201),
        ),
    ),
    "lengths that differ later": Case(
        "If multiple requests include indicators, their indicated values MUST match.",
        (
            HALF,
            refused("PATCH {a}", at(5, MORE, {"Upload-Length": "11"}), 400, b"w", type=INCONSISTENT_LENGTH),
            refused("PATCH {a}", at(5, LAST), 400, b"worl", type=INCONSISTENT_LENGTH),
            Step("PATCH {a}", at(5, LAST), b"world", 201),
        ),
        stored={"a": b"helloworld"},
    ),
    "too large": Case(
        "A server responding with a 413 (Content Too Large) status code as a result of its upload limits SHOULD "
        "include the Upload-Limit header field in this response if possible.",
        (
            Step("POST /files/", MORE | {"Upload-Length": "11"}, b"", 413, fields={"Upload-Limit": "max-size=10"}),
            Step("POST /files/", LAST, b"helloworld!", 413, fields={"Upload-Limit": "max-size=10"}),
        ),
        length_max=10,
    ),
    "cut": Case(
        "In this case, the server SHOULD append as much of the request content as possible to the upload resource "
        "[...] In addition, the upload resource MUST NOT be considered complete then.",
        (
            CREATE,
            Step("PATCH {a}", at(0, LAST), chunks=(b"hello",), status=None, cut=True),
            head(upload_offset="5", upload_complete=r"\?0"),
            Step("PATCH {a}", at(5, LAST), chunks=(b"worl",), status=None, cut=True),
            head(upload_offset="9", upload_complete=r"\?0"),
        ),
    ),
    "values that are none": Case(
        "Its value is a Boolean [...] Other values MUST cause the entire header field to be ignored.",
        tuple(
            Step("POST /files/", {"Upload-Complete": value, **NEWEST}, b"", 400)
            for value in ("1", "true", "?2", "?1, ?1", "", "?")
        ),
    ),
    "length that is none": Case(
        "Its value is a non-negative Integer [...] Other values MUST cause the entire header field to be ignored.",
        tuple(
            step
            for value in ("-1", "1.5", "ten", "10, 10", "9" * 16, '"10"')
            for step in (
                Step("POST /files/", MORE | {"Upload-Length": value}, b"", 201, saves="a"),
                head(upload_length=None),
            )
        ),
    ),
    "parameters": Case(
        "Upload-Complete is an Item Structured Header Field (RFC 9651, 3.1.2: unknown parameters are of no account)",
        (
            Step("POST /files/", {"Upload-Complete": "?0;later=1", "Upload-Length": "10;x"}, b"", 201, saves="a"),
            head(upload_length="10"),
        ),
    ),
    "compressed": Case(
        "RFC 9110, 8.4: 'An origin server MAY respond with a status code of 415 [...] if a representation in the "
        "request message has a content coding that is not acceptable.'",
        (
            Step(
                "POST /files/",
                LAST | {"Content-Encoding": "gzip"},
                b"hello",
                415,
                fields={"Accept-Encoding": "identity"},
            ),
        ),
    ),
}

RETRIEVAL = {
    "state": Case(
        "MUST include the offset in the Upload-Offset header field, MUST include the Upload-Complete header field "
        "[...], MUST include the length in the Upload-Length header field, unless the client has not supplied one, "
        "[...] MUST indicate the limits in the Upload-Limit header field, and SHOULD include the Cache-Control header"
        " field with the value no-store",
        (
            HALF,
            *(
                Step(
                    f"{method} {{a}}",
                    headers,
                    status=204,
                    fields={
                        "Upload-Offset": "5",
                        "Upload-Complete": r"\?0",
                        "Upload-Length": "10",
                        "Upload-Limit": "max-size=1000, max-append-size=100",
                        "Cache-Control": "no-store",
                    },
                )
                for method in ("HEAD", "GET")
                for headers in ({}, NEWEST, APPLE)
            ),
        ),
        Config(append_size_max=100),
        length_max=1000,
    ),
    "nothing": Case("404 for what is not there", (Step(f"HEAD {NOWHERE}", NEWEST, status=404),)),
    "-05, extra fields": Case(
        "-05: The request MUST NOT include an Upload-Offset, Upload-Complete, or Upload-Length header field. The "
        "server MUST reject requests with either of these fields by responding with a 400 (Bad Request) status code.",
        (
            HALF,
            *(
                Step(request, APPLE | {name: value}, status=400)
                for request, name, value in (
                    ("HEAD {a}", "Upload-Offset", "5"),
                    ("HEAD {a}", "Upload-Complete", "?0"),
                    ("HEAD {a}", "Upload-Length", "10"),
                    ("DELETE {a}", "Upload-Offset", "5"),
                    ("DELETE {a}", "Upload-Complete", "?1"),
                )
            ),
            head(upload_offset="5"),
        ),
    ),
}

APPENDING = {
    "more": Case(
        "the server acknowledges the appended data by sending a 2xx (Successful) response with the Upload-Complete "
        "header field set to false.",
        (
            HALF,
            Step("PATCH {a}", at(5, MORE), b"wor", 204, fields={"Upload-Complete": r"\?0", "Upload-Offset": "8"}),
            Step("PATCH {a}", at(8, MORE, APPLE), b"l", 201, fields={"Upload-Complete": r"\?0", "Upload-Offset": "9"}),
        ),
        stored={"a": b"helloworl"},
    ),
    "last": Case(
        "the response MUST include the Upload-Complete header field with a true value",
        (
            CREATE,
            Step("PATCH {a}", at(0, MORE), b"hello", 204),
            Step("PATCH {a}", at(5, LAST), b"world", 201, fields={"Upload-Complete": r"\?1", "Upload-Offset": "10"}),
            head(upload_complete=r"\?1", upload_length="10"),
        ),
        stored={"a": b"helloworld"},
    ),
    "last without content": Case(
        "the request has no content. Once the request is processed by the server, the upload is complete.",
        (
            CREATE,
            Step("PATCH {a}", at(0, MORE), b"hello", 204),
            Step("PATCH {a}", at(5, LAST), b"", 201, fields={"Upload-Complete": r"\?1"}),
            head(upload_complete=r"\?1", upload_length="5"),
        ),
    ),
    "last once more": Case(
        "The server can choose to replay the final response to the client if the request to append to the completed "
        "upload is valid.",
        (
            HALF,
            Step("PATCH {a}", at(5, LAST), b"world", 201, fields={"Upload-Complete": r"\?1"}),
            Step("PATCH {a}", at(10, LAST), b"", 201, fields={"Upload-Complete": r"\?1", "Upload-Offset": "10"}),
            refused("PATCH {a}", at(10, MORE), 400, b"", type=COMPLETED),
            refused("PATCH {a}", at(10, LAST), 400, b"!", type=COMPLETED),
        ),
        stored={"a": b"helloworld"},
    ),
    "another offset": Case(
        "the server MUST reject the request with a 409 (Conflict) status code and the Upload-Complete header field "
        "set to false. The response MUST include the correct offset in the Upload-Offset header field. [...] SHOULD "
        "populate both members",
        (
            HALF,
            *(
                Step(
                    "PATCH {a}",
                    at(offset, LAST, version),
                    b"x",
                    409,
                    fields={"Upload-Offset": "5", "Upload-Complete": r"\?0"},
                    members={"type": MISMATCHING_OFFSET, "expected-offset": 5, "provided-offset": offset},
                )
                for offset in (0, 4, 6)
                for version in ({}, APPLE, NEWEST)
            ),
        ),
        stored={"a": b"hello"},
    ),
    "offset that is none": Case(
        "Its value is a non-negative Integer [...] Other values MUST cause the entire header field to be ignored.",
        (
            HALF,
            refused("PATCH {a}", PARTIAL | MORE, 400, b"w"),
            *(refused("PATCH {a}", at(value, MORE), 400, b"w") for value in ("-5", "5.0", "x", "5, 5", "", "0" * 16)),
        ),
        stored={"a": b"hello"},
    ),
    "media type": Case(
        "A client can continue the upload and append representation data by sending a PATCH request with the "
        "application/partial-upload media type",
        (
            HALF,
            refused("PATCH {a}", MORE | {"Upload-Offset": "5"}, 415, b"w"),
            refused("PATCH {a}", at(5, MORE, {"Content-Type": "application/offset+octet-stream"}), 415, b"w"),
        ),
        stored={"a": b"hello"},
    ),
    "completeness": Case(
        "The request MUST include the Upload-Complete header field.",
        (HALF, refused("PATCH {a}", at(5, NEWEST), 400, b"world"), refused("PATCH {a}", at(5), 400, b"world")),
        stored={"a": b"hello"},
    ),
    "-05, completeness": Case(
        "-05: If the end of the request content is not the end of the upload, the Upload-Complete field value MUST be"
        " set to false. (Apple's client leaves it out where it is.)",
        (HALF, Step("PATCH {a}", at(5, APPLE), b"world", 201, fields={"Upload-Complete": r"\?1"})),
        stored={"a": b"helloworld"},
    ),
    "never beyond the length": Case(
        "the server MUST prevent the offset from exceeding the upload length by rejecting the request once the offset"
        " exceeds the length",
        (
            HALF,
            refused("PATCH {a}", at(5, MORE), 413, b"world!"),
            Step("PATCH {a}", at(5, MORE), chunks=(b"wor", b"ld!"), status=413),
            Step("PATCH {a}", at(5, MORE, APPLE), chunks=(b"wor", b"ld!"), status=400),
        ),
    ),
    "append limit": Case(
        "max-append-size: [...] The server might reject requests exceeding this limit.",
        (
            Step("OPTIONS /files/", fields={"Upload-Limit": "max-size=1000, max-append-size=4"}),
            refused("POST /files/", LAST, 413, b"hello"),
            CREATE,
            refused("PATCH {a}", at(0, LAST), 413, b"hello"),
            Step("PATCH {a}", at(0, LAST), b"hell", 201),
        ),
        Config(append_size_max=4),
        length_max=1000,
    ),
}

CANCELLATION = {
    "cancelled": Case(
        "Upon receiving a DELETE request, the server SHOULD deactivate the upload resource.",
        (
            HALF,
            Step("DELETE {a}", NEWEST, status=204),
            head(410),
            Step("HEAD {a}", APPLE, status=404),
            refused("PATCH {a}", at(5, LAST), 410, b"world"),
        ),
    ),
}

DIGESTS = {
    "content digest": Case(
        "If the digests don't match the server SHOULD consider the transfer failed, not append the content to the "
        "upload resource, and signal the failure to the client.",
        (
            HALF,
            refused("PATCH {a}", at(5, LAST, {"Content-Digest": digest("sha-256", b"World")}), 400, b"world"),
            head(upload_offset="5"),
            Step("PATCH {a}", at(5, LAST, {"Content-Digest": digest("sha-512", b"world")}), b"world", 201),
        ),
        stored={"a": b"helloworld"},
    ),
    "digest that is none": Case(
        "RFC 9530, 2: a Dictionary whose values are Byte Sequences",
        tuple(
            refused("POST /files/", LAST | {field: value}, 400, b"hello")
            for field in ("Content-Digest", "Repr-Digest")
            for value in ("sha-256=abc", "sha-256=:AAAA:", "sha-256", "=", "sha-256=:!:")
        ),
    ),
    "digest of another kind": Case(
        "RFC 9530, 2: unknown algorithms are ignored",
        (Step("POST /files/", LAST | {"Content-Digest": "md5=:AAAA:"}, b"hello", 201),),
    ),
}

DISCOVERY = {
    "limits": Case(
        "the server MUST include the Upload-Limit header field with the corresponding limits in the response",
        (Step("OPTIONS /files/", fields={"Upload-Limit": "max-size=1000"}, principal=None),),
        length_max=1000,
    ),
    "integers end": Case(
        "RFC 9651, 3.3.1: a range of -999,999,999,999,999 to 999,999,999,999,999",
        (Step("OPTIONS /files/", fields={"Upload-Limit": "max-size=999999999999999"}),),
    ),
    "unknown drafts": Case(
        "Implementations of this draft use the interop version to identify the iteration of the draft",
        tuple(
            refused("POST /files/", LAST | {"Upload-Draft-Interop-Version": version}, 400, b"hello")
            for version in ("3", "5", "11", "six", "")
        ),
    ),
    "version is sent back": Case(
        "Apple's servers send the version with every answer.",
        tuple(Step("POST /files/", LAST | version, b"hello", 201, fields=dict(version)) for version in (APPLE, NEWEST)),
    ),
    "switched off": Case(
        "Only what is truly enabled is announced and taken.",
        (
            Step("OPTIONS /files/", fields={"Upload-Limit": None}),
            Step("POST /files/", LAST, b"hello", 412),
            Step(f"HEAD {NOWHERE}", status=412),
        ),
        Config(rufh_enabled=False),
    ),
    "refusals": Case(
        "Strangers are refused in this protocol's form too.",
        (
            Step(
                "POST /files/",
                LAST,
                b"",
                401,
                principal=None,
                fields={"Upload-Complete": r"\?0", "WWW-Authenticate": ".+"},
            ),
            Step("DELETE /files/", NEWEST, status=405, fields={"Allow": "POST, PUT, OPTIONS"}),
            Step(f"POST {NOWHERE}", LAST, b"", 405, fields={"Allow": "HEAD, GET, PATCH, DELETE, OPTIONS"}),
        ),
    ),
}

GROUPS = {
    "creation": CREATION,
    "retrieval": RETRIEVAL,
    "append": APPENDING,
    "cancellation": CANCELLATION,
    "digests": DIGESTS,
    "discovery": DISCOVERY,
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{group}: {name}") for group, cases in GROUPS.items() for name, case in cases.items()],
)
async def test_rufh(case):
    """Each case quotes its rule."""
    await check_case(case)


# ---- interim responses


INFORMING = {"extensions": {"http.response.informational": {}}}


async def test_new_upload_is_announced_before_its_body():
    """
    "When sent, it MUST include Location header field pointing to the upload resource and MUST include the Upload-Limit
    header field"; "MUST also send a header field Upload-Draft-Interop-Version with the interop version as its value"
    """
    service = FakeUploadService()
    client = UploadClient(UploadEndpoint(service, Config()), scope=INFORMING)
    wire, task = client.open("POST", "/files/", LAST | APPLE | {"Content-Length": "5"})
    await service.reading.wait()

    (interim,) = wire.sent
    fields = dict(interim["headers"])
    assert (interim["type"], interim["status"]) == ("http.response.informational", 104)
    assert fields[b"location"].decode() == "/files/" + service.only.id
    assert fields[b"upload-draft-interop-version"] == b"6"
    assert b"upload-limit" in fields

    wire.push(part(b"hello"))
    await task
    del wire.sent[0]
    assert (wire.response.status, wire.response.headers["upload-complete"]) == (201, "?1")
    assert service.stored[service.only.id] == b"hello"


@pytest.mark.parametrize(("headers", "scope"), [(LAST, INFORMING), (LAST | NEWEST, {})])
async def test_nobody_is_told_who_would_not_understand(headers, scope):
    """ "MUST NOT send a 104 [...] when the interop version [...] in the request is missing or mismatching." """
    client = UploadClient(UploadEndpoint(FakeUploadService(), Config()), scope=scope)
    answer = await client.send("POST", "/files/", headers, b"hello")

    assert (answer.status, answer.headers["upload-complete"]) == (201, "?1")


async def test_whole_file_that_stops_coming_is_no_success():
    """A 2xx to a request with the whole file would say that all of it was processed."""
    service = FakeUploadService()
    client = UploadClient(UploadEndpoint(service, Config(idle_timeout_seconds=0.01)))
    wire, task = client.open("POST", "/files/", LAST | {"Content-Length": "5"})
    wire.push(part(b"he", more=True))
    await task

    fields = wire.response.headers
    assert (wire.response.status, fields["upload-complete"], fields["upload-offset"]) == (408, "?0", "2")
    assert (wire.response.tail, fields["connection"]) == (service.only.id, "close")
