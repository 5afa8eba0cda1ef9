"""tus 1.0.0, rule by rule in the specification's words and order; what we hold beyond it stands at the end."""

import base64
import hashlib
import zlib

import pytest

from domain.upload import LENGTH_MAX
from tests.support.upload_cases import Case, Step, check_case
from tests.support.upload_service import BERT
from upload.protocol.config import Config, Extension

V = {"Tus-Resumable": "1.0.0"}
BYTES = V | {"Content-Type": "application/offset+octet-stream"}
CRC32C_OF_HELLO = bytes.fromhex("9a71bb4c")
NOWHERE = "/files/upload_00000000000000000000000000"
IMF_DATE = r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"

CREATE = Step("POST /files/", V | {"Upload-Length": "10"}, b"", 201, saves="a")
DEFER = Step("POST /files/", V | {"Upload-Defer-Length": "1"}, b"", 201, saves="a")
PART_A = Step("POST /files/", BYTES | {"Upload-Length": "5", "Upload-Concat": "partial"}, b"hello", 201, saves="a")
PART_B = Step("POST /files/", BYTES | {"Upload-Length": "6", "Upload-Concat": "partial"}, b" world", 201, saves="b")


def at(offset: object, **more: str) -> dict[str, str]:
    return BYTES | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): value for name, value in more.items()}


def head(status: int = 200, **fields: str | None) -> Step:
    return Step("HEAD {a}", V, status=status, fields={name.replace("_", "-"): v for name, v in fields.items()})


def refused(request: str, headers: dict[str, str], status: int, body: bytes | None = b"", **more: object) -> Step:
    """A request that must not be carried out: the answer is a problem document."""
    return Step(request, headers, body, status, fields={"Content-Type": "application/problem.json"}, **more)  # type: ignore[arg-type]


def digest(algorithm: str, content: bytes) -> str:
    if algorithm == "crc32":
        raw = zlib.crc32(content).to_bytes(4, "big")
    elif algorithm == "crc32c":
        raw = CRC32C_OF_HELLO
    else:
        raw = hashlib.new(algorithm, content).digest()
    return f"{algorithm} {base64.b64encode(raw).decode()}"


CORE = {
    "offset is sent back": Case(
        "The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the "
        "offset is 0, or the upload is already considered completed.",
        (
            CREATE,
            head(upload_offset="0"),
            Step("PATCH {a}", at(0), b"hello", fields={"Upload-Offset": "5"}),
            head(upload_offset="5"),
            Step("PATCH {a}", at(5), b"world", fields={"Upload-Offset": "10"}),
            head(upload_offset="10"),
        ),
        stored={"a": b"helloworld"},
    ),
    "length is sent back": Case(
        "If the size of the upload is known, the Server MUST include the Upload-Length header in the response.",
        (CREATE, head(upload_length="10", upload_defer_length=None)),
    ),
    "head of nothing": Case(
        "If the resource is not found, the Server SHOULD return either the 404 Not Found, 410 Gone or 403 Forbidden "
        "status without the Upload-Offset header.",
        (Step(f"HEAD {NOWHERE}", V, status=404, fields={"Upload-Offset": None}),),
    ),
    "head is not cached": Case(
        "The Server MUST prevent the client and/or proxies from caching the response by adding the Cache-Control: "
        "no-store header to the response.",
        (CREATE, head(cache_control="no-store")),
    ),
    "version in every response": Case(
        "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests.",
        (
            Step("POST /files/", V | {"Upload-Length": "5"}, b"", 201, saves="a", fields={"Tus-Resumable": "1.0.0"}),
            head(tus_resumable="1.0.0"),
            Step("PATCH {a}", at(0), b"he", fields={"Tus-Resumable": "1.0.0"}),
            Step("PATCH {a}", at(9), b"he", 409, fields={"Tus-Resumable": "1.0.0"}),
            Step("PATCH {a}", V, b"he", 415, fields={"Tus-Resumable": "1.0.0"}),
            Step("POST /files/", V, b"", 401, principal=None, fields={"Tus-Resumable": "1.0.0"}),
            Step("DELETE {a}", V, fields={"Tus-Resumable": "1.0.0"}),
            Step(f"HEAD {NOWHERE}", V, status=404, fields={"Tus-Resumable": "1.0.0"}),
        ),
    ),
    "unknown version": Case(
        "If the version specified by the Client is not supported by the Server, it MUST respond with the 412 "
        "Precondition Failed status and MUST include the Tus-Version header into the response. In addition, the "
        "Server MUST NOT process the request.",
        (
            CREATE,
            *(
                Step(request, headers | {"Tus-Resumable": version}, b"hello", 412, fields={"Tus-Version": "1.0.0"})
                for version in ("0.2.2", "1.0.1", "2.0.0", "1", "1.0.0, 1.0.0", "")
                for request, headers in (
                    ("POST /files/", {"Upload-Length": "5"}),
                    ("PATCH {a}", at(0)),
                    ("DELETE {a}", {}),
                    ("HEAD {a}", {}),
                )
            ),
            head(upload_offset="0"),
        ),
        stored={"a": b""},
    ),
    "no version": Case(
        "The Tus-Resumable header MUST be included in every request",
        (
            CREATE,
            refused("POST /files/", {"Upload-Length": "5"}, 412),
            refused("PATCH {a}", {k: v for k, v in at(0).items() if k != "Tus-Resumable"}, 412, b"hello"),
        ),
        stored={"a": b""},
    ),
    "method override": Case(
        "The X-HTTP-Method-Override request header MUST be a string which MUST be interpreted as the request's method"
        " by the Server, if the header is presented. The actual method of the request MUST be ignored.",
        (
            CREATE,
            Step("POST {a}", at(0, X_HTTP_Method_Override="PATCH"), b"hello", fields={"Upload-Offset": "5"}),
            Step("GET {a}", V | {"X-HTTP-Method-Override": "HEAD"}, status=200, fields={"Upload-Offset": "5"}),
            Step("PATCH /files/", V | {"X-HTTP-Method-Override": "POST", "Upload-Length": "0"}, b"", 201),
            Step("DELETE {a}", V | {"X-HTTP-Method-Override": "HEAD"}, status=200),
            Step("POST {a}", V | {"X-HTTP-Method-Override": "DELETE"}, b""),
            head(410),
        ),
    ),
    "patch media type": Case(
        "All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD "
        "return a 415 Unsupported Media Type status.",
        (
            CREATE,
            refused("PATCH {a}", V | {"Upload-Offset": "0"}, 415, b"hello"),
            refused("PATCH {a}", at(0, Content_Type="application/octet-stream"), 415, b"hello"),
            refused("PATCH {a}", at(0, Content_Type="application/offset+octet-stream2"), 415, b"hello"),
        ),
        stored={"a": b""},
    ),
    "patch at another offset": Case(
        "If the offsets do not match, the Server MUST respond with the 409 Conflict status without modifying the "
        "upload resource.",
        (
            CREATE,
            Step("PATCH {a}", at(0), b"hello"),
            refused("PATCH {a}", at(4), 409, b"oworld", members={"code": "offset_mismatch", "expected-offset": 5}),
            refused("PATCH {a}", at(6), 409, b"orld"),
            refused("PATCH {a}", at(0), 409, b"hello"),
        ),
        stored={"a": b"hello"},
    ),
    "offset is a number": Case(
        "The value MUST be a non-negative integer.",
        (
            CREATE,
            *(
                refused("PATCH {a}", at(offset), 400, b"hello")
                for offset in (
                    "-1",
                    "+0",
                    "0x0",
                    "0.0",
                    "1_0",
                    "\u0660",
                    "0, 0",
                    "",
                    " ",
                    "abc",
                    str(LENGTH_MAX + 1),
                    "9" * 99,
                )
            ),
            refused("PATCH {a}", BYTES, 400, b"hello"),
        ),
        stored={"a": b""},
    ),
    "patch of nothing": Case(
        "If the server receives a PATCH request against a non-existent resource it SHOULD return a 404 Not Found "
        "status.",
        (refused(f"PATCH {NOWHERE}", at(0), 404, b"hello"),),
    ),
    "cut body counts": Case(
        "The Server SHOULD always attempt to store as much of the received data as possible.",
        (
            CREATE,
            Step("PATCH {a}", at(0), b"hello", cut=True, status=None),
            head(upload_offset="5"),
            Step("PATCH {a}", at(5), chunks=(b"wo", b"rl"), cut=True, status=None),
            head(upload_offset="9"),
            Step("PATCH {a}", at(9), chunks=(b"d",), fields={"Upload-Offset": "10"}),
        ),
        stored={"a": b"helloworld"},
    ),
    "options": Case(
        "A successful response indicated by the 204 No Content or 200 OK status MUST contain the Tus-Version header.",
        (
            Step("OPTIONS /files/", fields={"Tus-Version": "1.0.0", "Tus-Max-Size": "1000"}),
            Step(f"OPTIONS {NOWHERE}", fields={"Tus-Version": "1.0.0"}, principal=None),
        ),
        length_max=1000,
    ),
    "options ignores the version": Case(
        "The Client SHOULD NOT include the Tus-Resumable header in the request and the Server MUST ignore the header.",
        (Step("OPTIONS /files/", {"Tus-Resumable": "0.0.0"}, fields={"Tus-Version": "1.0.0"}),),
    ),
    "no extensions": Case(
        "If no extensions are supported, the Tus-Extension header MUST be omitted.",
        (Step("OPTIONS /files/", fields={"Tus-Extension": None, "Tus-Checksum-Algorithm": None}),),
        Config(extensions=frozenset()),
    ),
}

CREATION = {
    "announced": Case(
        "If the Server supports this extension, it MUST add creation to the Tus-Extension header.",
        (Step("OPTIONS /files/", fields={"Tus-Extension": ",".join(extension.value for extension in Extension)}),),
    ),
    "created": Case(
        "The Server MUST acknowledge a successful upload creation with the 201 Created status. The Server MUST set the "
        "Location header to the URL of the created resource.",
        (
            Step(
                "POST /files/", V | {"Upload-Length": "5"}, b"", 201, fields={"Location": "/files/upload_[0-9a-z]{26}"}
            ),
        ),
    ),
    "a length or none yet": Case(
        "The request MUST include one of the following headers: a) Upload-Length [...] b) Upload-Defer-Length: 1",
        (
            refused("POST /files/", V, 400),
            refused("POST /files/", V | {"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400),
        ),
    ),
    "length is a number": Case(
        "The value MUST be a non-negative integer.",
        tuple(
            refused("POST /files/", V | {"Upload-Length": length}, 400)
            for length in ("-1", "+5", "5.0", "0x5", "1_0", "\uff15", "5, 5", "", "five", "\xa05")
        ),
    ),
    "other values of defer": Case(
        "If the Upload-Defer-Length header contains any other value than 1 the server should return a 400 Bad Request",
        tuple(
            refused("POST /files/", V | {"Upload-Defer-Length": value}, 400) for value in ("0", "2", "true", "", "1, 1")
        ),
    ),
    "deferred length": Case(
        "As long as the length of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all "
        "responses to HEAD requests.",
        (
            DEFER,
            head(upload_defer_length="1", upload_length=None),
            Step("PATCH {a}", at(0), b"hello", fields={"Upload-Offset": "5"}),
            head(upload_defer_length="1", upload_offset="5"),
            Step("PATCH {a}", at(5, Upload_Length="10"), b"wor", fields={"Upload-Offset": "8"}),
            head(upload_defer_length=None, upload_length="10"),
            Step("PATCH {a}", at(8), b"ld", fields={"Upload-Offset": "10"}),
        ),
        stored={"a": b"helloworld"},
    ),
    "length is set once": Case(
        "Once set the length MUST NOT be changed.",
        (
            DEFER,
            Step("PATCH {a}", at(0, Upload_Length="10"), b"hello"),
            refused("PATCH {a}", at(5, Upload_Length="11"), 400, b"world!"),
            Step("PATCH {a}", at(5, Upload_Length="10"), b"world"),
            head(upload_length="10"),
        ),
        stored={"a": b"helloworld"},
    ),
    "empty file": Case(
        "The Upload-Length header MAY be set to 0 [...] Such an upload is immediately complete after its creation",
        (
            Step("POST /files/", V | {"Upload-Length": "0"}, b"", 201, saves="a", fields={"Upload-Expires": None}),
            head(upload_offset="0", upload_length="0"),
        ),
    ),
    "metadata is sent back": Case(
        "responses to HEAD requests MUST include the Upload-Metadata header and its value as specified by the Client",
        (
            Step("POST /files/", V | {"Upload-Length": "5", "Upload-Metadata": "name aGk=,,"}, b"", 400),
            Step("POST /files/", V | {"Upload-Length": "5", "Upload-Metadata": "name aGk=, e"}, b"", 201, saves="a"),
            head(upload_metadata="name aGk=, e"),
        ),
    ),
    "metadata grammar": Case(
        "The key and value MUST be separated by a space. The key MUST NOT contain spaces and commas and MUST NOT be "
        "empty. [...] the value MUST be Base64 encoded. All keys MUST be unique.",
        tuple(
            refused("POST /files/", V | {"Upload-Length": "5", "Upload-Metadata": value}, 400)
            for value in (
                "a aGk=,a aGk=",
                "a,a",
                "a !",
                "a aGk",
                "a aGk= b",
                ",",
                "a  aGk=",
                "a=aGk= x",
                "ä aGk=",
            )
        ),
    ),
    "too long": Case(
        "If the length of the upload exceeds the maximum, [...] the Server MUST respond with the 413 Request Entity "
        "Too Large status.",
        (
            refused("POST /files/", V | {"Upload-Length": "1001"}, 413),
            refused("POST /files/", V | {"Upload-Length": str(2**63)}, 413),
            refused("POST /files/", V | {"Upload-Length": "9" * 5000}, 413),
            Step("POST /files/", V | {"Upload-Length": "1000"}, b"", 201),
        ),
        length_max=1000,
    ),
}

CREATION_WITH_UPLOAD = {
    "part of the upload": Case(
        "The Server SHOULD accept as many bytes as possible and MUST include the Upload-Offset header in the response"
        " and MUST set its value to the offset of the upload after applying the accepted bytes.",
        (
            Step(
                "POST /files/",
                BYTES | {"Upload-Length": "10"},
                b"hello",
                status=201,
                fields={"Upload-Offset": "5"},
                saves="a",
            ),
            Step("PATCH {a}", at(5), b"world", fields={"Upload-Offset": "10"}),
        ),
        stored={"a": b"helloworld"},
    ),
    "all of it, chunked": Case(
        "The Client MAY include either the entirety or a chunk of the upload data in the body of the POST request.",
        (
            Step(
                "POST /files/",
                BYTES | {"Upload-Length": "10"},
                chunks=(b"hello", b"world"),
                status=201,
                fields={"Upload-Offset": "10", "Upload-Expires": None},
                saves="a",
            ),
        ),
        stored={"a": b"helloworld"},
    ),
    "media type": Case(
        "The Client MUST include the Content-Type: application/offset+octet-stream header.",
        (refused("POST /files/", V | {"Upload-Length": "5"}, 415, b"hello"),),
    ),
    "not without creation": Case(
        "if the Server does not offer the Creation extension, it MUST NOT offer the Creation With Upload extension "
        "either.",
        (
            Step("OPTIONS /files/", fields={"Tus-Extension": "termination"}),
            Step("POST /files/", BYTES | {"Upload-Length": "5"}, b"hello", 405),
        ),
        Config(extensions=frozenset(Extension) - {Extension.CREATION, Extension.CHECKSUM, Extension.EXPIRATION}),
    ),
    "no body, no offset": Case(
        "An empty POST request is used to create a new upload resource.",
        (Step("POST /files/", V | {"Upload-Length": "5"}, b"", 201, fields={"Upload-Offset": None}),),
    ),
}

EXPIRATION = {
    "in every patch": Case(
        "This header MUST be included in every PATCH response if the upload is going to expire.",
        (
            CREATE,
            Step("PATCH {a}", at(0), b"hello", fields={"Upload-Expires": IMF_DATE}),
            Step("PATCH {a}", at(5), b"world", fields={"Upload-Expires": None}),
            head(upload_expires=None),
        ),
    ),
    "at creation": Case(
        "If the expiration is known at the creation, the Upload-Expires header MUST be included in the response to the "
        "initial POST request. [...] MUST be in RFC 9110 datetime format.",
        (
            Step("POST /files/", V | {"Upload-Length": "5"}, b"", 201, saves="a", fields={"Upload-Expires": IMF_DATE}),
            head(upload_expires="Sun, 22 Nov 2026 10:00:00 GMT"),
        ),
    ),
}

HELLO = b"hello"
CHECKSUM = {
    "announced": Case(
        "The Tus-Checksum-Algorithm header MUST be included in the response to an OPTIONS request.",
        (Step("OPTIONS /files/", fields={"Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5,crc32,crc32c"}),),
    ),
    "right": Case(
        "204 No Content if the checksums match and the processing of the data succeeded.",
        tuple(
            step
            for algorithm in ("sha1", "sha256", "sha512", "md5", "crc32", "crc32c")
            for step in (CREATE, Step("PATCH {a}", at(0, Upload_Checksum=digest(algorithm, HELLO)), HELLO))
        ),
        stored={"a": HELLO},
    ),
    "wrong": Case(
        "460 Checksum Mismatch if the checksums mismatch [...] the uploaded chunk MUST be discarded, and the upload "
        "and its offset MUST NOT be updated.",
        (
            CREATE,
            refused("PATCH {a}", at(0, Upload_Checksum=digest("sha1", b"hullo")), 460, HELLO),
            head(upload_offset="0"),
            Step("PATCH {a}", at(0, Upload_Checksum=digest("sha1", HELLO)), HELLO),
        ),
        stored={"a": HELLO},
    ),
    "unknown algorithm": Case(
        "400 Bad Request if the checksum algorithm is not supported by the server",
        (
            CREATE,
            *(
                refused("PATCH {a}", at(0, Upload_Checksum=value), 400, HELLO)
                for value in (
                    "sha3 AAAA",
                    "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                    "sha1",
                    "sha1 ",
                    "sha1 !",
                    "",
                    "sha1 AAAA",
                )
            ),
        ),
        stored={"a": b""},
    ),
    "cut": Case(
        "Once the entire request has been received, the Server MUST verify the uploaded chunk",
        (
            CREATE,
            Step("PATCH {a}", at(0, Upload_Checksum=digest("sha1", HELLO)), HELLO, cut=True, status=None),
            head(upload_offset="0"),
        ),
    ),
    "at creation": Case(
        "The Upload-Checksum request header contains information about the checksum of the current body payload.",
        (
            Step(
                "POST /files/",
                BYTES | {"Upload-Length": "5", "Upload-Checksum": digest("sha256", HELLO)},
                HELLO,
                201,
                saves="a",
            ),
            refused("POST /files/", BYTES | {"Upload-Length": "5", "Upload-Checksum": digest("md5", b"x")}, 460, HELLO),
        ),
        stored={"a": HELLO},
    ),
    "trailer that never comes": Case(
        "If the hash cannot be calculated at the beginning of the upload, it MAY be included as a trailer.",
        (
            CREATE,
            Step("PATCH {a}", at(0, Trailer="X-Other, Upload-Checksum"), chunks=(HELLO,), status=460),
            refused("PATCH {a}", at(0, Trailer="Upload-Checksum"), 400, HELLO),
            Step("PATCH {a}", at(0, Trailer="X-Other"), chunks=(HELLO,), fields={"Upload-Offset": "5"}),
        ),
        stored={"a": HELLO},
    ),
}

TERMINATION = {
    "terminated": Case(
        "the Server SHOULD free associated resources and MUST respond with the 204 No Content status confirming that "
        "the upload was terminated. For all future requests to this URL, the Server SHOULD respond with the 404 Not "
        "Found or 410 Gone status.",
        (
            CREATE,
            Step("DELETE {a}", V, b""),
            head(410),
            refused("PATCH {a}", at(0), 410, b"hello"),
            refused("DELETE {a}", V, 410),
        ),
    ),
    "nothing to terminate": Case("The same as for other requests", (refused(f"DELETE {NOWHERE}", V, 404),)),
    "of others": Case(
        "Not yours and not there look the same",
        (CREATE, refused("DELETE {a}", V, 404, principal=BERT), head(upload_offset="0")),
    ),
}

FINAL = V | {"Upload-Concat": "final;{a} {b}"}
CONCATENATION = {
    "two parts": Case(
        "Multiple partial uploads are concatenated into a final upload in the specified order. The length of the final "
        "upload MUST be the sum of the length of all partial uploads.",
        (
            PART_A,
            PART_B,
            Step("POST /files/", FINAL, b"", 201, saves="c"),
            Step("HEAD {c}", V, status=200, fields={"Upload-Length": "11", "Upload-Offset": "11"}),
            Step("POST /files/", V | {"Upload-Concat": "final;{b} {a}"}, b"", 201, saves="d"),
        ),
        stored={"c": b"hello world", "d": b" worldhello"},
    ),
    "sent back": Case(
        "Response to HEAD request against partial or final upload MUST include the Upload-Concat header and its value"
        " as received in the upload creation request.",
        (
            PART_A,
            head(upload_concat="partial", upload_offset="5"),
            PART_B,
            Step("POST /files/", V | {"Upload-Concat": "final;https://x.example{a} {b}"}, b"", 201, saves="c"),
            Step("HEAD {c}", V, status=200, fields={"Upload-Concat": "final;https://x.example{a} {b}"}),
        ),
    ),
    "behind a proxy": Case(
        "The partial uploads URLs MAY be absolute or relative",
        (
            PART_A,
            PART_B,
            Step(
                "POST /files/", FINAL, b"", 201, fields={"Location": "https://x.example/up/files/upload_.*"}, saves="c"
            ),
        ),
        Config(public_url="https://x.example/up"),
    ),
    "named at creation": Case(
        "The Upload-Concat request and response header MUST be set in both partial and final upload creation requests.",
        (
            Step(
                "POST /files/",
                V | {"Upload-Length": "5", "Upload-Concat": "partial"},
                b"",
                201,
                fields={"Upload-Concat": "partial"},
            ),
            PART_A,
            PART_B,
            Step("POST /files/", FINAL, b"", 201, fields={"Upload-Concat": "final;{a} {b}"}),
            Step("POST /files/", V | {"Upload-Length": "5"}, b"", 201, fields={"Upload-Concat": None}),
        ),
    ),
    "metadata stays behind": Case(
        "When creating a new final upload the partial uploads' metadata SHALL NOT be transferred to the new final "
        "upload.",
        (
            Step(
                "POST /files/",
                BYTES | {"Upload-Length": "5", "Upload-Concat": "partial", "Upload-Metadata": "filename YQ=="},
                b"hello",
                201,
                saves="a",
            ),
            PART_B,
            Step("POST /files/", FINAL, b"", 201, saves="c"),
            Step("HEAD {c}", V, status=200, fields={"Upload-Metadata": None}),
        ),
    ),
    "no length": Case(
        "The Client MUST NOT include the Upload-Length header in the final upload creation.",
        (
            PART_A,
            PART_B,
            refused("POST /files/", FINAL | {"Upload-Length": "11"}, 400),
            refused("POST /files/", FINAL | {"Upload-Defer-Length": "1"}, 400),
        ),
    ),
    "no bytes": Case(
        "The Server MUST respond with the 403 Forbidden status to PATCH requests against a final upload URL and MUST "
        "NOT modify the final or its partial uploads.",
        (
            PART_A,
            PART_B,
            Step("POST /files/", FINAL, b"", 201, saves="c"),
            refused("PATCH {c}", at(11), 403, b"!"),
            refused("POST /files/", FINAL | {"Content-Type": BYTES["Content-Type"]}, 400, b"!"),
        ),
        stored={"a": b"hello", "b": b" world", "c": b"hello world"},
    ),
    "addresses": Case(
        "The partial uploads URLs MAY be absolute or relative and MUST NOT contain spaces",
        (
            PART_A,
            *(
                refused("POST /files/", V | {"Upload-Concat": value}, 400)
                for value in (
                    "final",
                    "final;",
                    "final; ",
                    "final;/files/x",
                    "final;/other/../..{a}",
                    "final;http://[{a}",
                    "Partial",
                    "partial;{a}",
                    "",
                )
            ),
            refused("POST /files/", V | {"Upload-Concat": f"final;{NOWHERE}"}, 404),
            refused("POST /files/", V | {"Upload-Concat": "final;{a}"}, 404, principal=BERT),
        ),
    ),
}

OURS = {
    "methods": Case(
        "RFC 9110, 15.5.6: 'The origin server MUST generate an Allow header field in a 405 response'",
        (
            CREATE,
            Step("PATCH /files/", at(0), b"x", 405, fields={"Allow": "POST, OPTIONS"}),
            Step("GET /files/", V, status=405),
            Step("PUT {a}", V, b"x", 405, fields={"Allow": "HEAD, PATCH, DELETE, OPTIONS"}),
            Step("POST {a}", V | {"Upload-Length": "1"}, b"", 405),
            Step("POST {a}", V | {"X-HTTP-Method-Override": "\x7f"}, b"", 405),
        ),
    ),
    "switched off": Case(
        "Only what is truly enabled is announced and taken.",
        (
            Step("OPTIONS /files/", fields={"Tus-Extension": "creation", "Tus-Checksum-Algorithm": None}),
            Step("POST /files/", V | {"Upload-Length": "5"}, b"", 201, saves="a", fields={"Upload-Expires": None}),
            refused("POST /files/", BYTES | {"Upload-Length": "5"}, 400, b"hello"),
            refused("POST /files/", V | {"Upload-Defer-Length": "1"}, 400),
            refused("POST /files/", V | {"Upload-Length": "5", "Upload-Concat": "partial"}, 400),
            refused("PATCH {a}", at(0, Upload_Checksum=digest("sha1", HELLO)), 400, HELLO),
            refused("PATCH {a}", at(0, Trailer="Upload-Checksum"), 400, HELLO),
            Step("DELETE {a}", V, b"", 405, fields={"Allow": "HEAD, PATCH, OPTIONS"}),
        ),
        Config(extensions=frozenset({Extension.CREATION})),
    ),
    "never beyond the length": Case(
        "uploads.md, 9: never beyond the length, counted, also chunked and deferred",
        (
            CREATE,
            refused("PATCH {a}", at(0), 413, b"helloworld!"),
            Step("PATCH {a}", at(0), chunks=(b"hello", b"world", b"!"), status=413),
            refused("POST /files/", BYTES | {"Upload-Length": "4"}, 413, b"hello"),
            DEFER,
            Step("PATCH {a}", at(0), chunks=(b"x" * 600, b"x" * 600), status=413),
        ),
        length_max=1000,
    ),
    "complete is complete": Case(
        "Clients take 409 as 'ask for the offset again', and find the upload finished.",
        (CREATE, Step("PATCH {a}", at(0), b"helloworld"), Step("PATCH {a}", at(10), chunks=(b"!",), status=409)),
    ),
    "empty append at the end": Case(
        "The Server MUST acknowledge successful PATCH requests with the 204 No Content status: nothing more was asked.",
        (
            CREATE,
            Step("PATCH {a}", at(0), b"helloworld"),
            Step("PATCH {a}", at(10), b"", fields={"Upload-Offset": "10"}),
            refused("PATCH {a}", at(9), 409, b""),
        ),
        stored={"a": b"helloworld"},
    ),
    "length behind the last bytes": Case(
        "the Client MUST set the Upload-Length header in the next PATCH request, once the length is known.",
        (
            DEFER,
            Step("PATCH {a}", at(0), b"hello", fields={"Upload-Offset": "5"}),
            Step("PATCH {a}", at(5, Upload_Length="5"), b"", fields={"Upload-Offset": "5"}),
            head(upload_length="5", upload_expires=None),
        ),
        stored={"a": b"hello"},
    ),
    "type of an empty creation": Case(
        "Libraries set a Content-Type on requests without a body, too.",
        (Step("POST /files/", V | {"Upload-Length": "5", "Content-Type": "text/plain"}, b"", 201),),
    ),
    "paths that climb": Case(
        "Nothing but an upload's id reaches a store.",
        tuple(
            Step(f"HEAD /files/{tail}", V, status=404)
            for tail in (
                "../secret",
                "..%2fsecret",
                "%2e%2e",
                "upload_x",
                "a/b",
                "upload_00000000000000000000000000/..",
            )
        ),
    ),
    "problem": Case(
        "row 000.33: every 4xx/5xx is application/problem+json with type, title, status, detail, code, request_id",
        (
            refused(
                "POST /files/",
                V | {"Upload-Length": "x"},
                400,
                members={
                    "type": "/problems/invalid_value",
                    "title": "Invalid value",
                    "status": 400,
                    "detail": "Upload-Length: not a non-negative integer",
                    "code": "invalid_value",
                    "path": ["Upload-Length"],
                    "request_id": "req_1",
                    "hint": "Correct the named field and send the request again.",
                },
            ),
        ),
    ),
    "every answer's fields": Case(
        "uploads.md, 14: every response, errors and 401 too",
        tuple(
            Step(
                request,
                headers,
                body,
                status,
                fields={
                    "Tus-Resumable": "1.0.0",
                    "Cache-Control": "no-store",
                    "X-Content-Type-Options": "nosniff",
                    "Access-Control-Allow-Origin": r"\*",
                    "Access-Control-Expose-Headers": ".*Location.*Upload-Offset.*",
                },
                principal=principal,
            )
            for request, headers, body, status, principal in (
                ("OPTIONS /files/", {"Origin": "https://page.example"}, None, 204, None),
                ("POST /files/", V | {"Upload-Length": "5"}, b"", 401, None),
                ("POST /files/", V | {"Upload-Length": "5"}, b"", 201, BERT),
                ("POST /files/", V | {"Upload-Length": "-5"}, b"", 400, BERT),
                ("POST /files/", {}, b"", 412, BERT),
                (f"HEAD {NOWHERE}", V, None, 404, BERT),
            )
        ),
    ),
}

GROUPS = {
    "core": CORE,
    "creation": CREATION,
    "creation-with-upload": CREATION_WITH_UPLOAD,
    "expiration": EXPIRATION,
    "checksum": CHECKSUM,
    "termination": TERMINATION,
    "concatenation": CONCATENATION,
    "ours": OURS,
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{group}: {name}") for group, cases in GROUPS.items() for name, case in cases.items()],
)
async def test_tus1(case):
    """Each case quotes its rule; rows 000.21, 000.33 and 002.9."""
    await check_case(case)
