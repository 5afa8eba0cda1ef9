"""
AWS Signature Version 4 of a request to S3: what is signed and how, for whoever signs and whoever checks.

Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
"""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
STAMP = "%Y%m%dT%H%M%SZ"


def encode(text: str, *, safe: str = "") -> str:
    """Percent-encode as the canonical request wants it; a path keeps its slashes with `safe="/"`."""
    return quote(text, safe=safe + "-_.~")


def scope_of(stamp: str, region: str) -> str:
    """What a signature is good for: a day, a region, S3."""
    return f"{stamp[:8]}/{region}/s3/aws4_request"


def signature(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    payload_sha256: str,
    secret: str,
    stamp: str,
    region: str,
) -> str:
    """
    Sign a request.

    Args:
        path: Encoded, as it is sent.
        query: Encoded and in order.
        headers: Those that are signed, in lower case.
        payload_sha256: Lower-case hex, or UNSIGNED.
        stamp: As `STAMP` writes it.
    """
    names = sorted(headers)
    # "trim any leading or trailing spaces, convert sequential spaces to a single space"
    canonical_headers = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{canonical_headers}\n{';'.join(names)}\n{payload_sha256}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope_of(stamp, region)}\n{digest}"
    return hmac.digest(_signing_key(secret, stamp[:8], region), to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for text in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, text.encode(), "sha256")
    return key
