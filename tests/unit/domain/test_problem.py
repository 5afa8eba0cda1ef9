"""Problem documents: the same words for the same fault on every face."""

import json

from domain.errors import InvalidValue, LighterageError, NotFound, OffsetMismatch, RateLimited
from domain.problem import problem_document, retry_after_seconds


def test_document_says_what_and_what_next():
    """Row 000.33: every 4xx and 5xx has type, title, status, detail, code and request_id."""
    assert problem_document(NotFound("upload"), status=404, request_id="req_1") == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no such upload",
        "code": "not_found",
        "hint": "Check the id; a thing of another tenant and a missing thing look the same.",
        "request_id": "req_1",
    }


def test_values_that_explain_a_fault_are_members():
    invalid = problem_document(InvalidValue("too long", path=("name",), reason="too_long"), status=400)
    mismatch = problem_document(OffsetMismatch(stored=5, requested=7), status=409, type="https://example.org/x")
    limited = problem_document(RateLimited(retry_after_seconds=7), status=429)

    assert (invalid["path"], invalid["reason"]) == (["name"], "too_long")
    assert (mismatch["type"], mismatch["expected-offset"], mismatch["provided-offset"]) == (
        "https://example.org/x",
        5,
        7,
    )
    assert limited["retry_after_seconds"] == 7


def test_fault_without_words_has_its_title_for_detail():
    class Strange(LighterageError):
        code = "strange_thing"

    document = problem_document(Strange(), status=400)

    assert document["detail"] == "Strange thing"
    assert "hint" not in document
    assert json.loads(json.dumps(document)) == document
    assert retry_after_seconds(Strange()) is None
