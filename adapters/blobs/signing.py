"""
AWS Signature Version 4, as far as our own requests to S3 need it.

Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None = None


def encode(text: str, *, safe: str = "") -> str:
    """Percent-encode as the canonical request wants it; a path keeps its slashes with `safe="/"`."""
    return quote(text, safe=safe + "-_.~")


def encode_query(query: Mapping[str, str]) -> str:
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(query.items()))


def sign(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    payload_sha256: str,
    credentials: Credentials,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """
    Give all headers to send.

    Args:
        path: Encoded, as it is sent.
        query: Encoded and in order, as encode_query makes it.
        headers: In lower case, with `host`; all are signed.
        payload_sha256: Lower-case hex, or UNSIGNED.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": payload_sha256}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    # "trim any leading or trailing spaces, convert sequential spaces to a single space"
    canonical_headers = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{canonical_headers}\n{';'.join(names)}\n{payload_sha256}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, stamp[:8], region)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=8)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for text in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, text.encode(), "sha256")
    return key
