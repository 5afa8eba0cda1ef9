"""
A stream of bytes to parts that end where a record ends.

A part is what the engine reads in one go: a few megabytes in memory, cut at a record's end, with the line ends and
comments brought into the form that the engine takes. Nothing here looks inside a field.
"""

import mmap
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from query.dialect.check import COLUMNS_MAX, Output, Table, TableColumn
from query.dialect.nodes import Column, Step, Type
from query.errors import QueryError
from query.formats import Header, InputFormat, OutputFormat
from query.streams import Stream
from query.views import MISSING_TEXT, TOO_WIDE, View, quoted

RECORD_BYTES_MAX: Final = 1 << 20  # S3 Select's maxCharsPerRecord
PART_BYTES_FIRST: Final = 1 << 18  # small, so that the first rows come at once
PART_BYTES_MAX: Final = 8 << 20  # larger parts are no faster, but take memory
# A part, the record that is cut by its end, and room for replaced line ends.
SLOT_BYTES: Final = PART_BYTES_MAX + 2 * RECORD_BYTES_MAX
_SPARE_BYTES: Final = (
    b"\x1f",
    b"\x1e",
    b"\x1d",
    b"\x1c",
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x05",
    b"\x06",
    b"\x0e",
    b"\x0f",
)
_BOM: Final = b"\xef\xbb\xbf"


class Slot:
    """A file in memory that is mapped here and that the engine opens by its path."""

    def __init__(self, name: str) -> None:
        self.fd = os.memfd_create(name)
        os.ftruncate(self.fd, SLOT_BYTES)
        self.map = mmap.mmap(self.fd, SLOT_BYTES)
        self.path = f"/proc/self/fd/{self.fd}"
        self.size = 0

    def close(self) -> None:
        os.close(self.fd)  # the mapping has a descriptor of its own
        self.map.close()

    def set_size(self, size: int) -> None:
        """Say how many bytes the engine shall see."""
        # The pages stay; only the end moves, which costs nothing.
        self.size = size
        os.ftruncate(self.fd, max(size, 1))

    def make_room(self) -> None:
        os.ftruncate(self.fd, len(self.map))

    def grow(self, size: int) -> None:
        """Have room for so many bytes."""
        if size > len(self.map):
            self.map.resize(size)

    def replace(self, data: bytes) -> None:
        """Put other bytes in."""
        self.make_room()
        self.grow(len(data))
        self.map[: len(data)] = data
        self.set_size(len(data))


@dataclass(frozen=True, slots=True)
class Part:
    """
    What the engine must know of a part beside its bytes.

    Attributes:
        width: Most fields that a record may have.
        restore: SQL around a column that undoes what was done to its line ends.
        has_quotes: A field may hold a quote, a delimiter or a line end.
    """

    processed_bytes: int
    width: int = 1
    restore: str = "{}"
    has_quotes: bool = False


class CsvReader:
    """Cuts CSV into parts. `fill` is called by one thread at a time."""

    def __init__(self, stream: Stream, format: InputFormat) -> None:  # the word of the field
        self._stream = stream
        self.format = format
        self._rest = b""
        self._target = PART_BYTES_FIRST
        self._is_ended = False
        self._is_begun = False
        self._has_quotes = False  # of the part that was cut last
        self._quote = format.quote.encode()
        self._delimiter = format.delimiter.encode()
        self._end = format.record_delimiter.encode()
        self._is_plain_end = self._end in (b"\n", b"\r\n")
        if self._is_plain_end:
            self._end = b"\n"
        self._comment = format.comment.encode()
        self._record = _record_pattern(format)
        self.names: tuple[str, ...] = ()
        self.width = 1
        self.processed_bytes = 0

    def fill(self, slot: Slot) -> Part | None:
        """
        Put the next part into the slot.

        Returns:
            The part, or None when the file is at its end.
        """
        while True:
            slot.make_room()
            size = self._read(slot)
            if size == 0:
                return None
            begin = 0 if self._is_begun else self._begin(slot, size)
            end = self._cut(slot, begin, size)
            self.processed_bytes += end
            if end > begin:
                return self._part(slot, begin, end)

    def read_header(self, stream: Stream) -> None:
        """Take the names from the front of the file, for a part of it that begins later."""
        self._is_begun = True
        if self.format.header is Header.NONE:
            return
        buffer = bytearray(2 * RECORD_BYTES_MAX)
        size = 0
        while size < len(buffer) and (count := stream.read_into(memoryview(buffer)[size:])):
            size += count
        data = bytes(buffer[:size]).removeprefix(_BOM)
        fields, _ = self._first_record(data)
        self.width = max(1, len(fields))
        if self.format.header is Header.USE:
            self.names = tuple(fields)

    def _read(self, slot: Slot) -> int:
        size = len(self._rest)
        slot.map[:size] = self._rest
        self._rest = b""
        with memoryview(slot.map) as view:
            while size < self._target and not self._is_ended:
                count = self._stream.read_into(view[size : self._target])
                self._is_ended = count == 0
                size += count
        self._target = min(self._target * 2, PART_BYTES_MAX)
        return size

    def _begin(self, slot: Slot, size: int) -> int:
        """Pass the byte order mark and the header."""
        self._is_begun = True
        begin = 3 if slot.map[:3] == _BOM else 0
        data = slot.map[begin : min(size, begin + 2 * RECORD_BYTES_MAX)]
        fields, length = self._first_record(data)
        self.width = max(1, len(fields))
        if self.format.header is Header.NONE:
            return begin
        if self.format.header is Header.USE:
            self.names = tuple(fields)
        return begin + length

    def _first_record(self, data: bytes) -> tuple[list[str], int]:
        at = 0
        while at < len(data):
            match = self._record.match(data, at)
            end = match.end() if match else len(data)
            record = data[at:end].removesuffix(self._end)
            if self._is_plain_end:
                record = record.removesuffix(b"\r")
            if record and not (self._comment and record.startswith(self._comment)):
                if len(record) > RECORD_BYTES_MAX:
                    raise QueryError("OverMaxRecordSize")
                return self._fields(record), end
            at = end
        return [], at

    def _fields(self, record: bytes) -> list[str]:
        try:
            text = record.decode()
        except UnicodeDecodeError as error:
            raise QueryError("InvalidTextEncoding") from error
        fields = split_record(text, self.format)
        if len(fields) > COLUMNS_MAX:
            raise QueryError("OverMaxColumn")
        return fields

    def _cut(self, slot: Slot, begin: int, size: int) -> int:
        """Find where the last whole record of the part ends and keep what follows."""
        if self._is_ended:
            end = size
            self._has_quotes = slot.map.find(self._quote, begin, size) >= 0
            if self._has_quotes:
                self._check_last(slot.map[begin:size])
        else:
            end = self._seam(slot, begin, size)
        if size - end > RECORD_BYTES_MAX:
            raise QueryError("OverMaxRecordSize")
        self._rest = slot.map[end:size]
        return end

    def _seam(self, slot: Slot, begin: int, size: int) -> int:
        last = slot.map.rfind(self._end, begin, size)
        self._has_quotes = False
        if last < 0:
            return begin
        last += len(self._end)
        self._has_quotes = slot.map.find(self._quote, begin, last) >= 0
        if not self._has_quotes:
            return last
        data = slot.map[begin:size]
        has_comments = bool(self._comment) and self._comment in data
        if (
            self.format.quote == self.format.escape
            and not has_comments
            and data.count(self._quote, 0, last - begin) % 2 == 0
        ):
            return last
        return begin + self._last_record(data)

    def _last_record(self, data: bytes) -> int:
        at = 0
        while match := self._record.match(data, at):
            at = match.end()
        return at

    def _check_last(self, data: bytes) -> None:
        # The engine takes a quote that is never closed for the end of the field, and drops the rest.
        if self.format.quote == self.format.escape and data.count(self._quote) % 2 == 0:
            return
        tail = data[self._last_record(data) :]
        if tail and not self._record.fullmatch(tail + self._end):
            raise QueryError("CSVUnescapedQuote", "a quote is never closed")

    def _part(self, slot: Slot, begin: int, end: int) -> Part:
        has_quotes = self._has_quotes and slot.map.find(self._quote, begin, end) >= 0
        has_comments = bool(self._comment) and slot.map.find(self._comment, begin, end) >= 0
        has_returns = slot.map.find(b"\r", begin, end) >= 0
        if not (has_comments or has_returns) and self._is_plain_end:
            if begin:
                slot.map.move(0, begin, end - begin)
            slot.set_size(end - begin)
            restore = "{}"
        else:
            data = slot.map[begin:end]
            if has_comments:
                data = self._without_comments(data, has_quotes=has_quotes)
            data, restore = self._with_line_feeds(data)
            slot.replace(data)
        if has_quotes and not self.format.allow_quoted_record_delimiter:
            self._refuse_quoted_ends(slot.map[: slot.size])
        return Part(end - begin, self.width, restore, has_quotes)

    def _refuse_quoted_ends(self, data: bytes) -> None:
        if any(b"\n" in inside for inside in data.split(self._quote)[1::2]):
            raise QueryError("CSVEscapingRecordDelimiter")

    def _without_comments(self, data: bytes, *, has_quotes: bool) -> bytes:
        if not has_quotes:
            pattern = (
                b"(?:^|(?<="
                + re.escape(self._end)
                + b"))"
                + re.escape(self._comment)
                + b".*?(?:"
                + re.escape(self._end)
                + b"|$)"
            )
            return re.sub(pattern, b"", data, flags=re.DOTALL)
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            match = self._record.match(data, at)
            end = match.end() if match else len(data)
            if not data.startswith(self._comment, at):
                kept.append(data[at:end])
            at = end
        return b"".join(kept)

    def _with_line_feeds(self, data: bytes) -> tuple[bytes, str]:
        """The part with the line ends that the engine takes, and the SQL that undoes it."""
        if not self._is_plain_end:
            return self._with_own_ends(data)
        if b"\r" not in data:
            return data, "{}"
        # The engine refuses lines that end in two ways, and where they end in two characters it takes an
        # empty last field for a missing one. What stands in quotes stays as it is.
        pieces = data.split(self._quote)
        outside = slice(0, None, 2 if self.format.quote == self.format.escape else 1)
        pieces[outside] = [piece.replace(b"\r\n", b"\n") for piece in pieces[outside]]
        if not any(b"\r" in piece for piece in pieces[outside]):
            return self._quote.join(pieces), "{}"
        spare = _spare_byte(data)
        pieces[outside] = [piece.replace(b"\r", spare) for piece in pieces[outside]]
        return self._quote.join(pieces), f"replace({{}}, chr({spare[0]}), chr(13))"

    def _with_own_ends(self, data: bytes) -> tuple[bytes, str]:
        restored = " || ".join(f"chr({byte})" for byte in self._end)
        restore = f"replace({{}}, chr(10), {restored})"
        for byte in (b"\n", b"\r"):
            if byte in data and byte not in self._end:
                spare = _spare_byte(data)
                data = data.replace(byte, spare)
                restore = f"replace({restore}, chr({spare[0]}), chr({byte[0]}))"
        return data.replace(self._end, b"\n"), restore

    def view(self, slot: Slot, part: Part) -> View:
        """The first attempt at a part."""
        return CsvView(self, slot, part)

    def columns(self, width: int) -> tuple[Output, ...]:
        """What `*` stands for in a part of this width."""
        names = (*self.names, *(f"_{number}" for number in range(len(self.names) + 1, width + 1)))
        return tuple(Output(name, Column(0, index, name, Type.FIELD)) for index, name in enumerate(names))

    def shape(self) -> Table:
        return Table(tuple(TableColumn(name, Type.FIELD) for name in self.names), is_open=True)

    def widest(self, slot: Slot) -> int:
        """At least as many fields as any record of the part has."""
        lines = slot.map[: slot.size].split(b"\n")
        width = max(line.count(self._delimiter) for line in lines) + 1
        self.width = max(self.width, min(width, COLUMNS_MAX + 1))
        if self.width > COLUMNS_MAX:
            raise QueryError("OverMaxColumn")
        return self.width


class CsvView:
    """A part of CSV as text columns: nothing detected, nothing left out."""

    def __init__(self, reader: CsvReader, slot: Slot, part: Part) -> None:
        self._reader = reader
        self._slot = slot
        self._part = part
        self._width = reader.width

    def column(self, node: Column) -> str:
        if node.index >= self._width:
            return MISSING_TEXT
        return self._part.restore.format(f"c{node.index}")

    def member(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def member_text(self, steps: Sequence[Step]) -> str:
        raise AssertionError(steps)

    def json_text(self, value: str) -> str:
        return f"s3_json_text({value})"

    def source_sql(self) -> str:
        columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(self._width))
        options = {
            "delim": self._reader.format.delimiter,
            "quote": self._reader.format.quote,
            "escape": self._reader.format.escape,
            # An empty field is an empty text; only a field that is not there is NULL.
            "nullstr": "\x01\x02no such text\x03",
        }
        texts = ", ".join(f"{name} = {quoted(text)}" for name, text in options.items())
        return (
            f"read_csv({quoted(self._slot.path)}, columns = {{{columns}}}, {texts}, new_line = '\\n', "
            f"auto_detect = false, header = false, null_padding = true, strict_mode = true, parallel = false, "
            f"max_line_size = {2 * RECORD_BYTES_MAX}, buffer_size = {PART_BYTES_MAX})"
        )

    def star(self) -> tuple[Output, ...]:
        return self._reader.columns(self._width)

    @property
    def is_ragged(self) -> bool:
        return True

    def is_clean(self, output: OutputFormat) -> bool:
        if self._part.has_quotes or self._part.restore != "{}":
            return False
        # What was cut at this delimiter and these line ends cannot hold them.
        is_same = (output.delimiter, output.quote) == (self._reader.format.delimiter, self._reader.format.quote)
        return is_same and output.record_delimiter in ("\n", "\r\n")

    def is_helped(self, fault: str) -> bool:
        if TOO_WIDE not in fault:
            return False
        before, self._width = self._width, self._reader.widest(self._slot)
        return self._width > before

    @property
    def records_max(self) -> int:
        return self._slot.map[: self._slot.size].count(b"\n") + 1


def split_record(record: str, format: InputFormat) -> list[str]:  # the word of the field
    """Cut one record, without its delimiter, into fields."""
    quote, escape = re.escape(format.quote), re.escape(format.escape)
    inner = f"(?:[^{quote}]|{quote}{quote})*" if quote == escape else f"(?:[^{quote}{escape}]|{escape}.)*"
    pattern = re.compile(f" *{quote}({inner}){quote} *|([^{re.escape(format.delimiter)}]*)", re.DOTALL)
    fields: list[str] = []
    at = 0
    while True:
        match = pattern.match(record, at)
        assert match is not None  # the second branch takes anything
        text = match[2]
        if match[1] is not None:
            text = re.sub(f"{escape}(.)", r"\1", match[1], flags=re.DOTALL)
        fields.append(text)
        at = match.end()
        if at >= len(record):
            return fields
        if record[at] != format.delimiter:
            raise QueryError("CSVUnescapedQuote")
        at += 1


def _record_pattern(format: InputFormat) -> re.Pattern[bytes]:  # the word of the field
    """A whole record or comment line, with its end. Possessive: it never tries a text twice."""
    quote, escape, delimiter = (re.escape(text) for text in (format.quote, format.escape, format.delimiter))
    end = "\\n" if format.record_delimiter in ("\n", "\r\n") else re.escape(format.record_delimiter)
    inner = f"(?:[^{quote}]|{quote}{quote})*+" if quote == escape else f"(?:[^{quote}{escape}]|{escape}.)*+"
    plain = f"(?:(?!{end})[^{delimiter}])*+" if len(end) > 2 else f"[^{delimiter}{end}]*+"
    # A quote that opens and never closes fits neither branch.
    one = f"(?: *+{quote}{inner}{quote}{plain}|(?! *{quote}){plain})"
    record = f"{one}(?:{delimiter}{one})*+{end}"
    if format.comment:
        record = f"{re.escape(format.comment)}(?:(?!{end}).)*+{end}|{record}"
    return re.compile(record.encode(), re.DOTALL)


def _spare_byte(data: bytes) -> bytes:
    for byte in _SPARE_BYTES:
        if byte not in data:
            return byte
    raise QueryError("CSVParsingError", "the file has every control character that could stand for a line end")
