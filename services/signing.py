"""The use case of signed requests: whose key signed them. Only the head is looked at; a body is held to it later."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from auth.signatures import SignedHead, parse_signature, verify_signature
from domain.clock import Clock
from domain.errors import SignatureInvalid
from domain.principal import Principal
from domain.sigv4 import UNSIGNED

__all__ = ["KeyPairs", "Signed", "SignedHead", "SigningService"]


class KeyPairs(Protocol):
    """Keeps the keys that requests are signed with."""

    async def key_pair(self, access_key_id: str) -> tuple[Principal, str]:
        """
        Give whose key it is, and its secret; nothing is proven by asking.

        Raises:
            TokenInvalid, TokenExpired: There is no such key, or it is not good any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed a request, and what its body must be."""

    principal: Principal
    payload_sha256: str

    def check_body(self, body: bytes) -> None:
        """
        Raises:
            SignatureInvalid: This is not the body that was signed.
        """
        if self.payload_sha256 == UNSIGNED:
            return
        if not hmac.compare_digest(hashlib.sha256(body).hexdigest(), self.payload_sha256):
            raise SignatureInvalid("the body is not the one that was signed")


class SigningService:
    def __init__(self, *, keys: KeyPairs, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def authenticate(self, head: SignedHead) -> Signed:
        """
        Tell who signed a request.

        Raises:
            Unauthenticated: Nobody, or the signature does not hold; its subclasses say why.
        """
        found = parse_signature(head)
        principal, secret = await self._keys.key_pair(found.access_key_id)
        verify_signature(head, found, secret=secret, now=self._clock.now())
        return Signed(principal, found.payload_sha256)
