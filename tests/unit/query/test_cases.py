"""The table of cases: one line a case, each with its source."""

import pytest

from tests.support.query_cases import DATA, Case, cases
from tests.support.query_run import Bench, outcome


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.sql[:60])
def test_case(bench: Bench, case: Case) -> None:
    """The query gives what its source says, or fails with AWS's code."""
    assert case.source
    assert case.expected == outcome(bench, case.sql, *DATA[case.name])


def test_the_table_is_large_enough() -> None:
    """The dialect is held by at least five hundred cases."""
    assert len(list(cases())) >= 500
