"""
Receipts: a signed statement that a file of this size and digest was here, which anybody can check without the server.

A JWS in compact form (RFC 7515), EdDSA, by the key of `/.well-known/jwks.json`. The same file has the same receipt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.algorithms import OKPAlgorithm

from domain.errors import InvalidValue
from domain.file import File

ALGORITHM = "EdDSA"
TYPE = "lighterage-receipt+jws"
RECEIPT_LENGTH_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What is stated.

    Attributes:
        at: When the file was complete.
        issuer: The address of the server, as it is set there.
        key_id: Names the key that signed it.
    """

    file_id: str
    name: str
    size: int
    sha256: str
    at: datetime
    issuer: str
    key_id: str


def write_receipt(file: File, *, issuer: str, private_key: Any, key_id: str) -> str:
    assert file.sha256 is not None, "only what was hashed can be stated"
    content = {
        "iss": issuer,
        "sub": file.id,
        "iat": int(file.created_at.timestamp()),
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
    }
    return jwt.encode(content, private_key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": TYPE})


def read_receipt(text: str, jwks: Mapping[str, Any]) -> Receipt:
    """
    Check a receipt against the keys of the server that is to have made it.

    Raises:
        InvalidValue: It is no receipt, was changed, or is signed with another key.
    """
    text = text.strip()
    if len(text) > RECEIPT_LENGTH_MAX:
        raise InvalidValue("this is no receipt: it is too long")
    try:
        head = jwt.get_unverified_header(text)
        keys = {key.get("kid"): key for key in jwks["keys"]}
        if head.get("typ") != TYPE or head.get("kid") not in keys:
            raise InvalidValue("this is no receipt of the server whose keys these are")
        public: Any = OKPAlgorithm.from_jwk(json.dumps(keys[head["kid"]]))
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        claims: Any = jwt.decode(text, public, algorithms=[ALGORITHM], options=options)
        at = datetime.fromtimestamp(int(claims["iat"]), UTC)
        name, sha256, size = str(claims["name"]), str(claims["sha256"]), int(claims["size"])
        return Receipt(str(claims["sub"]), name, size, sha256, at, str(claims["iss"]), str(head["kid"]))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidValue("the receipt was changed, or is none") from error
