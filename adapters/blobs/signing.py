"""
AWS Signature Version 4, as far as our own requests to S3 need it.

What a signature is made of is in domain.sigv4.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.sigv4 import ALGORITHM, STAMP, UNSIGNED, encode, scope_of, signature

__all__ = ["EMPTY_SHA256", "UNSIGNED", "Credentials", "encode", "encode_query", "sign"]

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None = None


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
    stamp = now.strftime(STAMP)
    signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": payload_sha256}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    made = signature(
        method,
        path,
        query,
        signed,
        payload_sha256=payload_sha256,
        secret=credentials.secret_key,
        stamp=stamp,
        region=region,
    )
    signed["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope_of(stamp, region)}, "
        f"SignedHeaders={';'.join(sorted(signed))}, Signature={made}"
    )
    return signed
