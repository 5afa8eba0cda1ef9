"""Passwords: how they are hashed, checked and held to the policy."""

import asyncio
import threading

import pytest

from auth.passwords import MEMORY_KIB, PASSWORD_LENGTH_MAX, ROUNDS, PasswordHasher, check_password
from domain.errors import InvalidValue


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def passwords() -> PasswordHasher:
    return PasswordHasher(memory_kib=8, rounds=1)


async def test_password_is_its_own_and_no_other(passwords):
    """Case, space and composition count."""
    hashed = await passwords.hash("correct horse")

    assert await passwords.verify("correct horse", hashed)
    for wrong in ("Correct horse", "correct horse ", "", "correct hors\u0065\u0301", "\ud800", "x" * 1000):
        assert not await passwords.verify(wrong, hashed)


async def test_hash_is_salted_and_names_its_scheme_R000_7(passwords):
    """Two users with one password have two hashes, and neither is the password."""
    one, two = await passwords.hash("correct horse"), await passwords.hash("correct horse")

    assert one != two
    assert one.startswith("$argon2id$")
    assert "correct" not in one


async def test_unknown_user_takes_the_same_work(passwords):
    """A hash is checked all the same, and is never right."""
    assert not await passwords.verify("nobody's password", None)
    assert not await passwords.verify("", None)


async def test_hashing_goes_on_beside_the_event_loop(monkeypatch):
    """And a bounded number at once, since each holds much memory."""
    passwords = PasswordHasher(memory_kib=8, rounds=1, concurrency_max=2)
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    class Scheme:
        def hash(self, _password: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            gate.wait(5)
            with lock:
                running -= 1
            assert threading.current_thread() is not threading.main_thread()
            return "x"

    monkeypatch.setattr(passwords, "_scheme", Scheme())
    tasks = [asyncio.ensure_future(passwords.hash("p")) for _ in range(6)]
    while running < 2:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)

    assert most == 2


def test_work_is_what_is_recommended():
    """OWASP: argon2id with 46 MiB and one round, or more."""
    assert MEMORY_KIB >= 47104
    assert ROUNDS >= 1


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "password_too_weak"),
        ("short", "password_too_weak"),
        ("aaaaaaaaaaaa", "password_too_weak"),
        ("abcabcabcabc", "password_too_weak"),
        ("x" * (PASSWORD_LENGTH_MAX + 1), "too_long"),
    ],
)
def test_weak_password_is_refused_with_a_reason_R000_8(password, reason):
    """So that a form can say it."""
    with pytest.raises(InvalidValue) as caught:
        check_password(password)

    assert (("password",), reason) == (caught.value.path, caught.value.reason)


async def test_half_a_surrogate_cannot_be_a_password(passwords):
    """No encoding has it, so nobody could type it again."""
    with pytest.raises(InvalidValue):
        await passwords.hash("abcdefghij\ud800")


def test_long_sentence_is_a_good_password():
    """Length is what counts; no rule about signs."""
    check_password("correct horse battery staple")
