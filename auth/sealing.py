"""Secrets that we must be able to read again, encrypted with a key that is made of the server's signing key."""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from domain.errors import TokenInvalid
from domain.user import SigningKey

_PURPOSE = b"lighterage: secrets of API keys, 1"
_NONCE_BYTES = 12  # NIST SP 800-38D, 8.2: 96 bits, random


class Sealer:
    """AES-256-GCM. The name of what is sealed is part of it, so that no secret can be put in another's place."""

    def __init__(self, key: SigningKey) -> None:
        private = load_pem_private_key(key.private_pem.encode(), password=None)
        raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(raw)
        self._cipher = AESGCM(derived)

    def seal(self, secret: str, *, name: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), name.encode())).decode()

    def open(self, sealed: str, *, name: str) -> str:
        """
        Raises:
            TokenInvalid: It was sealed under another name, or by a server with another signing key.
        """
        content = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], name.encode()).decode()
        except InvalidTag as error:
            raise TokenInvalid("this was made under another signing key; make a new one") from error
