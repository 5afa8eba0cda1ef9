"""Every error code of the domain has an answer, and goes the way it should."""

import pytest

import domain.errors
from domain.errors import (
    CursorTooOld,
    InvalidValue,
    LighterageError,
    NotFound,
    PermissionDenied,
    RateLimited,
    SqlInvalid,
    Unauthenticated,
)
from schema.enums import UserErrorCode
from schema.errors import ANSWERS, extensions_of, refusal, user_error


def test_every_code_of_the_domain_has_an_answer() -> None:
    """And no answer is for a code that nobody raises."""
    codes = {
        one.code
        for one in vars(domain.errors).values()
        if isinstance(one, type) and issubclass(one, LighterageError) and one is not LighterageError
    }

    assert set(ANSWERS) == codes


def test_an_invalid_value_names_the_field_as_clients_do() -> None:
    """The path is of the input, in its spelling; the reason is the code."""
    [error] = refusal(InvalidValue("too long", path=("expires_at", "0"), reason="too_long"))

    assert (error.path, error.message, error.code) == (["expiresAt", "0"], "too long", UserErrorCode.TOO_LONG)


def test_an_unknown_reason_is_invalid() -> None:
    """A new reason inside must not break clients."""
    assert user_error(InvalidValue("x", reason="phase_of_the_moon")).code is UserErrorCode.INVALID


@pytest.mark.parametrize(
    "error", [Unauthenticated("x"), PermissionDenied("x"), RateLimited(retry_after_seconds=3), CursorTooOld()]
)
def test_what_no_form_can_put_right_is_raised(error: LighterageError) -> None:
    """It goes into `errors`, with a code."""
    with pytest.raises(type(error)):
        refusal(error)


def test_one_of_many_may_be_forbidden() -> None:
    """In a plural mutation the place says which."""
    error = user_error(PermissionDenied("not yours"), path=("fileIds", "3"))

    assert (error.path, error.code) == (["fileIds", "3"], UserErrorCode.FORBIDDEN)


def test_extensions_say_what_to_do_next() -> None:
    """A closed code, the finer reason, and the values that explain it."""
    assert extensions_of(RateLimited(retry_after_seconds=3)) == {
        "code": "RATE_LIMITED",
        "reason": "rate_limited",
        "hint": "Wait as long as Retry-After says.",
        "retryAfterSeconds": 3,
    }
    assert extensions_of(SqlInvalid("x", sql_code="ParseError"))["sqlCode"] == "ParseError"
    assert extensions_of(InvalidValue("x", path=("first",)))["argument"] == ["first"]
    assert extensions_of(NotFound("file"))["code"] == "NOT_FOUND"
