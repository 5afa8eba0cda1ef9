"""The rules of an upload's state: values in, values out."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.blob import BlobKey, BlobWriter
from domain.errors import LengthExceeded, LengthMismatch, OffsetMismatch, UploadComplete, UploadExpired
from domain.upload import LENGTH_MAX, Upload, UploadStatus, check_length
from tests.support.product import NOON

LATER = NOON + timedelta(days=1)
WRITER = BlobWriter(BlobKey("a/b/c"), "text/plain")


def an_upload(offset: int = 0, length: int | None = 10, **changes) -> Upload:
    made = Upload(
        id="upload_x",
        tenant_id="tenant_a",
        file_id="file_x",
        user_id="user_anna",
        name="a.txt",
        content_type="text/plain",
        length=length,
        writer=replace(WRITER, size_bytes=offset, length=length),
        created_at=NOON,
        updated_at=NOON,
        expires_at=LATER,
    )
    return replace(made, **changes)


ACCEPTED = {
    "created": (an_upload(), 0, None),
    "in progress": (an_upload(5, status=UploadStatus.IN_PROGRESS), 5, None),
    "ahead": (an_upload(5), 6, OffsetMismatch),
    "behind": (an_upload(5), 4, OffsetMismatch),
    "complete": (an_upload(10, status=UploadStatus.COMPLETED), 10, UploadComplete),
    "complete, elsewhere": (an_upload(10, status=UploadStatus.COMPLETED), 0, OffsetMismatch),
    "assembling": (an_upload(10, status=UploadStatus.ASSEMBLING), 10, UploadComplete),
    "aborted": (an_upload(5, status=UploadStatus.ABORTED), 5, UploadExpired),
    "expired": (an_upload(5, status=UploadStatus.EXPIRED), 5, UploadExpired),
    "failed": (an_upload(10, status=UploadStatus.FAILED), 10, UploadExpired),
    "out of time": (an_upload(5, expires_at=NOON), 5, UploadExpired),
    "complete and old": (an_upload(10, status=UploadStatus.COMPLETED, expires_at=NOON), 10, UploadComplete),
}


@pytest.mark.parametrize(("upload", "offset", "error"), ACCEPTED.values(), ids=ACCEPTED)
def test_bytes_are_accepted_only_where_they_belong(upload, offset, error):
    """Decided before one is read."""
    if error is None:
        upload.accept(offset, now=NOON)
        return
    with pytest.raises(error):
        upload.accept(offset, now=NOON)


@given(st.integers(0, 100), st.integers(0, 100))
def test_last_byte_begins_the_assembling(length, reached):
    """And none before it does."""
    moved = an_upload(0, length).advance(replace(WRITER, size_bytes=reached), now=NOON, expires_at=LATER)

    assert reached == moved.offset
    assert (UploadStatus.ASSEMBLING if reached == length else UploadStatus.IN_PROGRESS) is moved.status


def test_offset_never_decreases():
    """A writer that goes back is a mistake of ours, and stops at once."""
    with pytest.raises(AssertionError):
        an_upload(5).advance(replace(WRITER, size_bytes=4), now=NOON, expires_at=LATER)


def test_length_is_declared_once():
    """The same again is no fault, another one is."""
    declared = an_upload(5, None).declare_length(8, length_max=100)

    assert (declared.length, declared.writer.length, declared.room(length_max=100)) == (8, 8, 3)
    assert declared == declared.declare_length(8, length_max=100)
    with pytest.raises(LengthMismatch):
        declared.declare_length(9, length_max=100)


def test_length_cannot_be_less_than_is_stored_or_more_than_is_taken():
    """Either would make a promise that cannot be kept."""
    with pytest.raises(LengthMismatch):
        an_upload(5, None).declare_length(4, length_max=100)
    with pytest.raises(LengthExceeded):
        an_upload(5, None).declare_length(101, length_max=100)
    check_length(LENGTH_MAX, length_max=LENGTH_MAX)


@pytest.mark.parametrize(("offset", "length", "room", "reserved"), [(0, 10, 10, 10), (4, 10, 6, 10), (4, None, 96, 4)])
def test_room_and_reservation_follow_the_length(offset, length, room, reserved):
    """Without one, what came is what counts."""
    upload = an_upload(offset, length)

    assert (room, reserved) == (upload.room(length_max=100), upload.reserved_bytes)


@pytest.mark.parametrize("status", UploadStatus)
def test_every_state_is_open_gone_or_done(status):
    """Never two of them."""
    is_done = status in (UploadStatus.ASSEMBLING, UploadStatus.COMPLETED)

    assert sum([status.is_open, status.is_gone, is_done]) == 1
