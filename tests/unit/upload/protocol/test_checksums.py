"""Checksum algorithms against the published values of their check strings."""

import sys
from types import ModuleType

import pytest

from domain.upload import Checksum
from upload.protocol import checksums
from upload.protocol.checksums import Verifier, available_algorithms, digest_size

# The check value of a CRC is that of the digits 1 to 9 (Koopman; RFC 3720, B.4 for crc32c).
CHECK = b"123456789"
DIGESTS = {  # as coreutils' sha1sum and its like print them
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "sha512": "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
    "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
    "crc32": "cbf43926",
    "crc32c": "e3069283",
}


def verify(algorithm: str, digest: bytes, *, announced: tuple[str, ...] = ()) -> bool:
    verifier = Verifier(Checksum(algorithm, digest), announced=announced)
    for start in range(0, len(CHECK), 4):
        verifier.update(CHECK[start : start + 4])
    return verifier.matches(Checksum(algorithm, digest))


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_check_string_has_its_published_digest(algorithm):
    digest = bytes.fromhex(DIGESTS[algorithm])

    assert len(digest) == digest_size(algorithm)
    assert verify(algorithm, digest)
    assert not verify(algorithm, bytes(len(digest)))


def test_every_announced_algorithm_can_be_computed():
    assert available_algorithms()[0] == "sha1", "the one that every server has to know"
    for algorithm in available_algorithms():
        assert not verify(algorithm, bytes(digest_size(algorithm)))


@pytest.mark.parametrize(("implementation", "is_announced"), [("c", True), ("python", False), (None, False)])
def test_crc32c_is_announced_only_where_it_is_compiled(monkeypatch, implementation, is_announced):
    """Nothing that would run in pure Python is offered; rows of uploads.md, protocols."""
    package = ModuleType("google_crc32c")
    package.implementation = implementation  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google_crc32c", package)
    monkeypatch.setattr(checksums, "find_spec", lambda name: package if implementation else None)

    assert is_announced == ("crc32c" in available_algorithms())


def test_every_algorithm_is_there_out_of_the_box():
    """All of the issue's list come with `make run`."""
    assert available_algorithms() == ("sha1", "sha256", "sha512", "md5", "crc32", "crc32c")


def test_trailer_may_name_only_what_was_computed():
    verifier = Verifier(Checksum("trailer", None), announced=("md5",))
    verifier.update(CHECK)

    assert verifier.matches(Checksum("md5", bytes.fromhex(DIGESTS["md5"])))
    assert not verifier.matches(Checksum("sha1", bytes.fromhex(DIGESTS["sha1"])))
    assert not verifier.matches(Checksum("md5", None))
