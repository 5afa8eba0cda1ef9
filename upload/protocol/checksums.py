"""The checksum algorithms of the tus extension: each a hash that is fed with bytes. No header is known here."""

import hashlib
import hmac
import warnings
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from domain.upload import Checksum

_CRC32C_PACKAGE = "google_crc32c"


class Hash(Protocol):
    """What hashlib gives, as far as it is used."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 (ISO 3309) as a hash, big-endian: the order in which it is printed as a number."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _Crc32c:
    """CRC-32C (Castagnoli) as a hash, big-endian, by the CPU's own instruction."""

    def __init__(self) -> None:
        self._extend = import_module(_CRC32C_PACKAGE).extend
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._extend(self._value, data)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _md5() -> Hash:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Hash:
    return hashlib.sha1(usedforsecurity=False)


_HASHES: dict[str, tuple[Callable[[], Hash], int]] = {  # with the digest's size in bytes
    "sha1": (_sha1, 20),
    "sha256": (hashlib.sha256, 32),
    "sha512": (hashlib.sha512, 64),
    "md5": (_md5, 16),
    "crc32": (_Crc32, 4),
    "crc32c": (_Crc32c, 4),
}


def available_algorithms() -> tuple[str, ...]:
    """
    List the algorithms that this process can compute.

    crc32c only where the package google-crc32c has its compiled part, as it has on every common platform: in pure
    Python it runs at 10 MB/s, which would hold up the whole process.
    """
    return tuple(name for name in _HASHES if name != "crc32c" or _has_crc32c())


def _has_crc32c() -> bool:
    if find_spec(_CRC32C_PACKAGE) is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the compiled part is missing is part of the answer
        return bool(import_module(_CRC32C_PACKAGE).implementation == "c")


def digest_size(algorithm: str) -> int:
    """Give the bytes of a digest; KeyError for an algorithm that nobody knows."""
    return _HASHES[algorithm][1]


class Verifier:
    """
    Hashes what it is fed and compares at the end.

    A digest in the trailer names its algorithm only there, so everything that is announced is computed until then.
    """

    def __init__(self, checksum: Checksum, *, announced: tuple[str, ...]) -> None:
        names = announced if checksum.digest is None else (checksum.algorithm,)
        self._hashes = {name: _HASHES[name][0]() for name in names}

    def update(self, chunk: bytes) -> None:
        for hash_ in self._hashes.values():
            hash_.update(chunk)

    def matches(self, checksum: Checksum) -> bool:
        """Tell whether the bytes so far hash to this; False for an algorithm that was not computed."""
        hash_ = self._hashes.get(checksum.algorithm)
        return (
            hash_ is not None and checksum.digest is not None and hmac.compare_digest(hash_.digest(), checksum.digest)
        )
