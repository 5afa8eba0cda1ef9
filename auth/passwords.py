"""Passwords: hashed with argon2id, in threads, a bounded number at once."""

import asyncio

from passlib.hash import argon2

from domain.errors import InvalidValue

PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 256  # a longer one costs us more than it gives its owner
MEMORY_KIB = 65536
ROUNDS = 3
CONCURRENCY_MAX = 2  # each hash holds MEMORY_KIB and a core


class PasswordHasher:
    """Hashes and checks passwords without holding up the event loop."""

    def __init__(
        self, *, memory_kib: int = MEMORY_KIB, rounds: int = ROUNDS, concurrency_max: int = CONCURRENCY_MAX
    ) -> None:
        self._scheme = argon2.using(type="ID", memory_cost=memory_kib, rounds=rounds, parallelism=1)
        self._turns = asyncio.Semaphore(concurrency_max)
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        if not _is_text(password):
            raise InvalidValue("a password cannot hold lone surrogates", path=("password",))
        async with self._turns:
            return str(await asyncio.to_thread(self._scheme.hash, password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """
        Tell whether the password is the one that was hashed.

        Args:
            hashed: None for a user that does not exist: takes as long, and is never true.
        """
        if len(password) > PASSWORD_LENGTH_MAX or not _is_text(password):
            return False
        async with self._turns:
            if hashed is None and self._dummy is None:
                self._dummy = await asyncio.to_thread(self._scheme.hash, "nobody's password")
            matches = await asyncio.to_thread(self._scheme.verify, password, hashed or self._dummy)
        return bool(matches) and hashed is not None


def _is_text(password: str) -> bool:
    """Tell whether it can be encoded; JSON carries halves of surrogate pairs, which cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in password)


def check_password(password: str, *, field: str = "password") -> None:
    """
    Hold a new password to the policy: length, and not one character over and over.

    Raises:
        InvalidValue: It is too short, too long or too plain.
    """
    if len(password) < PASSWORD_LENGTH_MIN:
        message = f"a password has at least {PASSWORD_LENGTH_MIN} characters"
        raise InvalidValue(message, path=(field,), reason="password_too_weak")
    if len(password) > PASSWORD_LENGTH_MAX:
        message = f"a password has at most {PASSWORD_LENGTH_MAX} characters"
        raise InvalidValue(message, path=(field,), reason="too_long")
    if len(set(password)) < 4:
        raise InvalidValue("this password repeats the same few characters", path=(field,), reason="password_too_weak")
