"""
The words of every letter. Nothing that a stranger typed stands in one but the address it
goes to; the name of a tenant, which its admins chose, in an invitation.
"""

from datetime import timedelta

from domain.mail import Letter

_END = "\n\nIf it was not you, you need not do anything.\n"


def verification(to: str, *, link: str, token: str, lifetime: timedelta) -> Letter:
    return Letter(
        to,
        "Confirm your e-mail address",
        "Somebody, probably you, made an account with this e-mail address. To confirm it, open\n\n"
        f"  {link}\n\nor give this token to the program that you signed up with:\n\n  {token}\n\n"
        f"It is good once, for {_length(lifetime)}.{_END}",
    )


def address_taken(to: str) -> Letter:
    return Letter(
        to,
        "You have an account already",
        "Somebody, probably you, wanted to make an account with this e-mail address, but there is one. "
        f"Log in with it, or ask for a new password.{_END}",
    )


def password_reset(to: str, *, link: str, token: str, lifetime: timedelta) -> Letter:
    return Letter(
        to,
        "Set a new password",
        "Somebody, probably you, asked for a new password. To set one, open\n\n"
        f"  {link}\n\nor give this token to the program that you asked:\n\n  {token}\n\n"
        f"It is good once, for {_length(lifetime)}. All log-ins end with the old password.{_END}",
    )


def invitation(to: str, *, tenant: str, token: str, lifetime: timedelta) -> Letter:
    return Letter(
        to,
        "You are asked to join",
        f"You are asked to join {tenant}. Log in with the account of this address and accept with the token, or sign "
        f"up with it:\n\n  {token}\n\n"
        f"It is good once, for {_length(lifetime)}.{_END}",
    )


def password_changed(to: str) -> Letter:
    return Letter(
        to,
        "Your password was changed",
        "The password of your account was changed, and all log-ins were ended.\n\n"
        "If it was not you, ask for a new password at once.\n",
    )


def _length(lifetime: timedelta) -> str:
    if lifetime.days > 1:
        return f"{lifetime.days} days"
    hours = lifetime // timedelta(hours=1)
    return f"{hours} hour{'' if hours == 1 else 's'}" if hours else f"{lifetime // timedelta(minutes=1)} minutes"
