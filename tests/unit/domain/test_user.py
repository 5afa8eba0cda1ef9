"""Addresses, user names and slugs, in the form that is kept."""

import pytest

from domain.errors import InvalidValue
from domain.tenant import TenantRole, slug_of
from domain.user import parse_email, parse_username


@pytest.mark.parametrize("text", ["a@b", " Anna@Example.ORG ", "a+b@c.d", "größe@müller.de", "a'b@c.d"])
def test_address_is_kept_in_lower_case(text):
    """One person, one account."""
    assert text.strip().lower() == parse_email(text)


WRONG = ["", "@", "a@", "@b", "a b@c", "a@b c", "a@b@c", "a@.b", "a@b..c", "a\x00@b", "a@b/c", "x" * 65 + "@b"]


@pytest.mark.parametrize("text", [*WRONG, "a@\nb", "a@" + "b" * 254])
def test_what_is_no_address_is_refused(text):
    """It becomes the name of a folder."""
    with pytest.raises(InvalidValue):
        parse_email(text)


@pytest.mark.parametrize("text", ["", " ", "a/b", "a\nb", "\u202ea", "x" * 101])
def test_what_is_no_user_name_is_refused(text):
    """Likewise."""
    with pytest.raises(InvalidValue):
        parse_username(text)


def test_user_name_is_kept_folded():
    """Case makes no other person."""
    assert parse_username(" STRAßE ") == "strasse"


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Main", "main"), ("A  B!", "a-b"), ("größe", "gr-e"), ("---", "tenant"), ("", "tenant"), ("x" * 70, "x" * 63)],
)
def test_slug_fits_addresses(name, slug):
    """Letters, digits and single dashes."""
    assert slug == slug_of(name)


def test_roles_cover_those_below_them():
    """From owner down to viewer."""
    assert TenantRole.OWNER.covers(TenantRole.VIEWER)
    assert TenantRole.MEMBER.covers(TenantRole.MEMBER)
    assert not TenantRole.VIEWER.covers(TenantRole.MEMBER)
