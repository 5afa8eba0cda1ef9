"""The first start: an administrator whose password can be pasted into a command."""

import re

from tests.support.product import ADDRESS


async def test_password_made_up_is_letters_and_digits(world):
    """A dash in front would be an option to a shell command; it is made once, and logs in."""
    password = await world.product.ensure_admin()
    again = await world.product.ensure_admin()

    assert password is not None
    assert re.fullmatch(r"[A-Za-z0-9]{16}", password)
    assert again is None
    session = await world.product.services.accounts.log_in("admin@localhost", password, client=ADDRESS)
    assert "admin@localhost" == session.user.email
