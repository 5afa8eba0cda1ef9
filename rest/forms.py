"""
A form whose file is read while it comes: the fields before it, the file as a body that services take, the fields after.
"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from domain.blob import PipedBytes
from domain.errors import InvalidValue, LengthExceeded
from domain.upload import LENGTH_MAX, Body, BodyEnd, Checksum
from rest.multipart import Event, MultipartParser, PartBegin, PartEnd

FIELD_BYTES_MAX = 64 << 10  # of one field: metadata as JSON
FIELDS_BYTES_MAX = 256 << 10  # of all together
CHUNK_BYTES_MAX = 256 << 10  # what a body promises
_PAUSED: Final = object()


class FormBody:
    """
    The file of a form, as a body; implements domain.upload.Body.

    `find_file` first, then `chunks`. `ended_by` is COMPLETE when the whole form is there and said nothing behind the
    file, STOPPED when it did: what is in `fields` then must be regarded before the file is finished.
    """

    def __init__(self, source: Body, boundary: bytes, *, file_field: str) -> None:
        self.fields: dict[str, str] = {}
        self.received = 0
        self.ended_by: BodyEnd | None = None
        self._source = source
        self._chunks = source.chunks(limit=LENGTH_MAX)
        self._parser = MultipartParser(boundary)
        self._pending: deque[Event] = deque()
        self._file_field = file_field
        self._is_in_file = False
        self._has_late_fields = False
        self._fields_bytes = 0

    async def find_file(self) -> PartBegin | None:
        """
        Read up to the file's first byte; None where the client went away before.

        Raises:
            InvalidValue: The form is broken, or has no file.
        """
        while (event := await self._next()) is not None:
            if isinstance(event, PartBegin):
                if event.name == self._file_field:
                    self._is_in_file = True
                    return event
                await self._read_field(event)
        if self.ended_by is BodyEnd.COMPLETE:
            message = f"the form has no file: send one as the part {self._file_field!r}"
            raise InvalidValue(message, path=(self._file_field,), reason="required")
        return None

    async def chunks(self, *, limit: int, checksum: Checksum | None = None) -> AsyncIterator[bytes | PipedBytes]:
        """Yield the file's bytes; see domain.upload.Body."""
        assert checksum is None, "a form has no checksum of its own"
        taken = 0
        while self._is_in_file:
            event = await self._next()
            if event is None or event is _PAUSED:
                return
            if isinstance(event, PartEnd):
                self._is_in_file = False
                continue
            assert isinstance(event, bytes)
            taken += len(event)
            self.received += len(event)
            if taken > limit:
                raise LengthExceeded(f"the file holds more than the {limit} bytes that may come")
            for start in range(0, len(event), CHUNK_BYTES_MAX):
                yield event[start : start + CHUNK_BYTES_MAX] if len(event) > CHUNK_BYTES_MAX else event
        await self._read_rest()

    async def _read_rest(self) -> None:
        while self.ended_by is None:
            event = await self._next()
            if event is _PAUSED:
                return
            if isinstance(event, PartBegin):
                if event.name == self._file_field:
                    raise InvalidValue("one file a request", path=(self._file_field,), reason="too_long")
                await self._read_field(event)
                self._has_late_fields = True
        if self.ended_by is BodyEnd.COMPLETE and self._has_late_fields:
            self.ended_by = BodyEnd.STOPPED

    async def _read_field(self, part: PartBegin) -> None:
        content = bytearray()
        while not isinstance(event := await self._next(), PartEnd):
            if event is None:
                return
            if isinstance(event, bytes):  # and not a pause: what is paused goes on here, nobody can be waiting long
                content += event
                self._fields_bytes += len(event)
            if len(content) > FIELD_BYTES_MAX or self._fields_bytes > FIELDS_BYTES_MAX:
                raise InvalidValue(
                    f"the field {part.name[:60]!r} is too long", path=(part.name[:60],), reason="too_long"
                )
        try:
            self.fields[part.name] = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidValue("a field must be UTF-8", path=(part.name[:60],)) from error

    async def _next(self) -> Event | object | None:
        """Give the next event, None at the end, `_PAUSED` where somebody asked for a pause."""
        while not self._pending:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                if self._source.ended_by is None:
                    self._chunks = self._source.chunks(limit=LENGTH_MAX)
                    return _PAUSED
                if self._source.ended_by is BodyEnd.COMPLETE and not self._parser.is_done:
                    raise InvalidValue("the form ends before its last boundary", path=("body",))
                self.ended_by = self._source.ended_by
                return None
            assert isinstance(chunk, bytes), "a form's bytes must be seen"
            self._pending.extend(self._parser.feed(chunk))
        return self._pending.popleft()

    def allow_pipe(self) -> None:
        """Never: where the file ends is in its bytes."""

    def pause(self) -> None:
        self._source.pause()

    def stop(self) -> None:
        self._source.stop()
