"""
Every call of either store fails once, at each place of an upload's life, in every way a call can fail.

Whatever happened: an acknowledged offset never falls, and a client that goes on ends with one file of the right bytes.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from domain.upload import BodyEnd, NewUpload
from tests.support.product import FakeBody, body, sha256
from tests.support.product_faults import Joiner, Mode, Plan, Rig, Sender

CONTENT = b"eleven bytes and a few more"
CALLS_MIN = 8  # fewer calls than this would mean that the loop failed nothing of interest


def cut(content: bytes) -> FakeBody:
    return body(content[:7], content[7:], end=BodyEnd.CUT)


UPLOADS: dict[str, dict[str, Any]] = {
    "in three requests": {"ends": (5, 16)},
    "by requests that are cut": {"ends": (5, 16), "make_body": cut},
    "at once, and in pieces when that fails": {"ends": (5, 16), "is_bold": True},
    "of a length told last": {"ends": (9,), "new": NewUpload(name="a.txt")},
    "with a declared digest": {"ends": (5,), "new": NewUpload("a.txt", len(CONTENT), sha256=sha256(CONTENT))},
    "under an idempotency key": {"new": NewUpload("a.txt", len(CONTENT), idempotency_key="once")},
    "of no bytes": {"content": b"", "new": NewUpload("a.txt", 0, idempotency_key="once")},
}


async def check_every_call(
    rig: Rig, mode: Mode, make: Callable[[], Any], *, calls_min: int = CALLS_MIN, with_maintenance: bool = False
) -> None:
    """
    Run the same thing again and again, each time with another call failing, until none does.

    Args:
        with_maintenance: Let calls of the maintenance behind it fail, too; there are many.
    """
    for number in count(1):
        thing = await make()
        rig.plan = plan = Plan(mode, fail_at=number)
        rig.restart()
        await thing.send()
        if not with_maintenance:
            rig.plan = Plan()
            rig.restart()
        await thing.check()
        if not plan.has_failed:
            assert number > calls_min
            return


SOME = (Mode.UNANSWERED, Mode.KILLED_BEFORE, Mode.FULL)
CASES = [(how, mode) for how in UPLOADS for mode in (Mode if how == "in three requests" else SOME)]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "mode"), CASES, ids=lambda value: getattr(value, "value", value))
async def test_upload_survives_a_fault_at_every_call(rig, monkeypatch, how, mode):
    """The loop of the house: call 1, 2, 3 … until none fails."""
    if not UPLOADS[how].get("is_bold"):
        monkeypatch.setattr("adapters.blobs.local.REPORT_BYTES", 8)
        monkeypatch.setattr("adapters.blobs.local.WRITE_OUT_BYTES", 4)

    async def make() -> Sender:
        return Sender(rig, await rig.new_user(), **{"content": CONTENT} | UPLOADS[how])

    await check_every_call(rig, mode, make)


@pytest.mark.slow
async def test_maintenance_survives_a_fault_at_every_call(rig):
    """What it was about to do it does in a later round."""

    async def make() -> Sender:
        return Sender(rig, await rig.new_user(), CONTENT, ends=(5, 16), make_body=cut)

    await check_every_call(rig, Mode.KILLED_AFTER, make, with_maintenance=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", SOME, ids=lambda mode: mode.value)
async def test_joining_survives_a_fault_at_every_call(rig, mode):
    """Partial uploads and the final one: one file, and room for one, whatever breaks off."""

    async def make() -> Joiner:
        return Joiner(rig, await rig.new_user(), (b"hello ", b"world", b""))

    await check_every_call(rig, mode, make)
