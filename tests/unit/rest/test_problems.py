"""The table from faults to statuses, over every fault that the domain knows."""

import json

import pytest

from domain import errors
from domain.errors import LighterageError
from rest.problems import STATUS_BY_CODE, problem_response


def every_fault(of: type[LighterageError] = LighterageError) -> list[type[LighterageError]]:
    found = [of] if hasattr(of, "code") and of.__module__ == errors.__name__ else []
    return found + [fault for sub in of.__subclasses__() for fault in every_fault(sub)]


@pytest.mark.parametrize("fault", every_fault(), ids=lambda fault: fault.code)
def test_every_fault_has_a_status_and_says_what_to_do(fault):
    """A code without a status would be a crash of its own."""
    assert 400 <= STATUS_BY_CODE[fault.code] < 600
    assert fault.hint


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [
        (errors.Unauthenticated("x"), "www-authenticate", 'Bearer realm="lighterage"'),
        (errors.TokenExpired("x"), "www-authenticate", 'Bearer realm="lighterage"'),
        (errors.RangeNotSatisfiable(size=7), "content-range", "bytes */7"),
        (errors.RateLimited(retry_after_seconds=9), "retry-after", "9"),
        (errors.StoreFull(), "retry-after", "30"),
    ],
)
def test_faults_carry_the_fields_that_http_wants(fault, field, value):
    """With no-store, since the next answer may be another."""
    answer = problem_response(fault, request_id="req_1")

    assert value == answer.headers[field]
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body)["request_id"] == "req_1"
