"""Which digests a download carries."""

import pytest

from rest.digests import format_sha256, wants_sha256


@pytest.mark.parametrize("by_default", [True, False])
@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("sha-256=10", True),
        ("sha-512=3, sha-256=10, unixsum=0", True),
        ("sha-256=0", False),
        ("sha-512=10", False),
        (" sha-256=1 ,md5=2", True),
        (None, None),
        ("", None),
        ("sha-256", None),
        ("sha-256=11", None),
        ("sha-256=:x:", None),
        (",", None),
    ],
)
def test_preferences_are_followed(field, wanted, by_default):
    """RFC 9530, 4; what is no dictionary of preferences counts as if it were not there."""
    assert (by_default if wanted is None else wanted) is wants_sha256(field, by_default=by_default)


def test_digest_is_a_byte_sequence():
    """RFC 9651, 3.3.5."""
    assert format_sha256(b"\x00" * 3) == "sha-256=:AAAA:"
