"""Check requests that are signed with an API key (AWS Signature Version 4). Pure: keys are somebody else's."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote_to_bytes

from domain.errors import ClockSkewed, SignatureInvalid, Unauthenticated
from domain.sigv4 import ALGORITHM, STAMP, UNSIGNED, encode, signature

SKEW_MAX = timedelta(minutes=15)  # S3's own
_CREDENTIAL = re.compile(r"([A-Za-z0-9_-]{1,128})/(\d{8})/([a-z0-9-]{1,64})/s3/aws4_request", re.ASCII)
_PAYLOAD = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedHead:
    """
    The head of a request, as it came.

    Attributes:
        path: Percent-encoded, as it was sent.
        query: The same, without the question mark.
        headers: Names in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signature:
    """What the head says about who signed it, nothing of which is proven yet."""

    access_key_id: str
    region: str
    stamp: str
    signed_headers: tuple[str, ...]
    payload_sha256: str
    value: str


def parse_signature(head: SignedHead) -> Signature:
    """
    Read the signature of a request.

    Raises:
        Unauthenticated: It has none.
        SignatureInvalid: It is of another form than clients of S3 make, or leaves out what must be signed.
    """
    kind, _, rest = head.headers.get("authorization", "").partition(" ")
    if kind != ALGORITHM:
        raise Unauthenticated(f"sign this request with an API key ({ALGORITHM})")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    credential = _CREDENTIAL.fullmatch(fields.get("Credential", ""))
    stamp = head.headers.get("x-amz-date", "")
    payload = head.headers.get("x-amz-content-sha256", "")
    names = tuple(fields.get("SignedHeaders", "").split(";"))
    # "the CanonicalHeaders list must include the following: HTTP host header. [...] Any x-amz-* headers that you plan
    # to include in your request must also be added."
    needed = {"host", *(name for name in head.headers if name.startswith("x-amz-"))}
    if credential is None or not stamp.startswith(credential[2]) or not needed.issubset(names):
        raise SignatureInvalid("the Authorization header is not complete")
    if payload != UNSIGNED and not _PAYLOAD.fullmatch(payload):
        raise SignatureInvalid("x-amz-content-sha256 must be the hash of the body")
    return Signature(credential[1], credential[3], stamp, names, payload, fields.get("Signature", ""))


def verify_signature(head: SignedHead, found: Signature, *, secret: str, now: datetime) -> None:
    """
    Hold the request against its signature. The body still has to be held against `payload_sha256`.

    Raises:
        ClockSkewed, SignatureInvalid: It was signed at another time, or it is another request, or another secret.
    """
    try:
        signed_at = datetime.strptime(found.stamp, STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureInvalid("x-amz-date is not a time") from error
    if abs(signed_at - now) > SKEW_MAX:
        raise ClockSkewed
    expected = signature(
        head.method,
        encode(unquote_to_bytes(head.path).decode("utf-8", "replace"), safe="/"),
        _canonical_query(head.query),
        {name: head.headers.get(name, "") for name in found.signed_headers},
        payload_sha256=found.payload_sha256,
        secret=secret,
        stamp=found.stamp,
        region=found.region,
    )
    if not hmac.compare_digest(expected.encode(), found.value.encode()):
        raise SignatureInvalid("the signature is not that of this request and key")


def _canonical_query(query: str) -> str:
    # A plus is a plus in S3's queries, not a space.
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    # Sorted by name: in the finished text `select-type=2` would come before `select=`.
    return "&".join("=".join(pair) for pair in sorted((encode(name), encode(value)) for name, value in pairs))
