"""
multipart/form-data (RFC 7578, RFC 2046) as it comes: bytes in, parts out, and never more held than a boundary's length.

Pure: no request, no socket, no file. What a form may be at most is bounded here, so a hostile one costs no memory.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

from domain.errors import InvalidValue

BOUNDARY_LENGTH_MAX = 70  # RFC 2046, 5.1.1
HEAD_BYTES_MAX = 16 << 10  # of one part: a name of 1,024 characters, percent-encoded, and room
PREAMBLE_BYTES_MAX = 16 << 10
PARTS_MAX = 200

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PartBegin:
    """
    A part begins. Its bytes follow, then `PartEnd`.

    Attributes:
        filename: None where the part has none; then it is a field. Empty where a form was sent without a file.
    """

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is whole."""


Event = PartBegin | PartEnd | bytes
_Step = tuple[list[Event], bytes, bool]
"""What came out, what is left, and whether that is enough to go on."""


class _State(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()  # behind a boundary, before the end of its line
    HEAD = auto()
    CONTENT_BEGIN = auto()
    CONTENT = auto()
    DONE = auto()


def boundary_of(content_type: str) -> bytes:
    """
    Give the boundary that a Content-Type names.

    Raises:
        InvalidValue: It names none that could be.
    """
    for name, value in _parameters(content_type):
        if name == "boundary":
            if _BOUNDARY.fullmatch(value):
                return value.encode()
            break
    raise InvalidValue("multipart/form-data needs a boundary of 1 to 70 characters", path=("Content-Type",))


class MultipartParser:
    """Takes a body in pieces of any size. `is_done`: the last boundary was there; what comes behind it counts not."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._state = _State.PREAMBLE
        self._held = b"\r\n"  # so that a boundary at the very beginning is like every other
        self._skipped = 0
        self._parts = 0
        self._steps: dict[_State, Callable[[bytes], _Step]] = {
            _State.PREAMBLE: self._pass_content,
            _State.DELIMITER: self._pass_delimiter,
            _State.HEAD: self._pass_head,
            _State.CONTENT_BEGIN: self._pass_content_begin,
            _State.CONTENT: self._pass_content,
        }

    @property
    def is_done(self) -> bool:
        return self._state is _State.DONE

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """
        Yield what is in these bytes and those held before.

        Raises:
            InvalidValue: The form is broken, or larger in some way than forms are.
        """
        held = self._held + chunk if self._held else chunk
        self._held = b""
        while held and not self.is_done:
            events, held, goes_on = self._steps[self._state](held)
            yield from events
            if not goes_on:
                self._held = held
                return

    def _pass_content(self, held: bytes) -> _Step:
        """Part what is content for sure from what begins with, or may become, a delimiter."""
        content, held, is_found = self._cut(held)
        events: list[Event] = []
        if self._state is _State.PREAMBLE:
            self._skipped += len(content)
            if self._skipped > PREAMBLE_BYTES_MAX:
                raise _broken("the boundary that Content-Type names does not come")
        elif content:
            events.append(content)
        if not is_found:
            return events, held, False
        if self._state is _State.CONTENT:
            events.append(PartEnd())
        self._state = _State.DELIMITER
        return events, held, True

    def _cut(self, held: bytes) -> tuple[bytes, bytes, bool]:
        place = held.find(self._delimiter)
        if place >= 0:
            return held[:place], held[place + len(self._delimiter) :], True
        first = max(0, len(held) - len(self._delimiter) + 1)
        start = held.find(b"\r", first)
        while start >= 0:
            if self._delimiter.startswith(held[start:]):
                return held[:start], held[start:], False
            start = held.find(b"\r", start + 1)
        return held, b"", False

    def _pass_delimiter(self, held: bytes) -> _Step:
        """Go behind a boundary's line."""
        if held.startswith(b"--"):
            self._state = _State.DONE
            return [], b"", False
        line, found, rest = held.partition(b"\n")
        # RFC 2046, 5.1.1: "transport-padding", then the line's end.
        if (line.rstrip(b"\r").strip(b" \t") not in (b"", b"-")) or (found and line.strip(b" \t") != b"\r"):
            raise _broken("a boundary is followed by something else")
        if not found:
            if len(held) > HEAD_BYTES_MAX:
                raise _broken("the line of a boundary is too long")
            return [], held, False
        self._state = _State.HEAD
        return [], rest, True

    def _pass_head(self, held: bytes) -> _Step:
        # An empty head has no line of its own before the empty line that ends it.
        end = 0 if held.startswith(b"\r\n") else held.find(b"\r\n\r\n")
        if end < 0:
            if len(held) > HEAD_BYTES_MAX:
                raise _broken("the head of a part is too long")
            return [], held, False
        begin = self._begin(held[:end])
        self._state = _State.CONTENT_BEGIN
        return [begin], held[end + (0 if end == 0 else 2) :], True

    def _pass_content_begin(self, held: bytes) -> _Step:
        # Of an empty part the line's end in front of the boundary may be the one that ended the head.
        if len(held) < len(self._delimiter) and self._delimiter.startswith(held):
            return [], held, False
        self._state = _State.CONTENT
        return [], held if held.startswith(self._delimiter) else held[2:], True

    def _begin(self, head: bytes) -> PartBegin:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise _broken(f"there are more than {PARTS_MAX} parts")
        fields = _fields(head)
        disposition = fields.get("content-disposition", "")
        if disposition.partition(";")[0].strip().lower() != "form-data":
            raise _broken("a part has no 'Content-Disposition: form-data'")
        parameters = dict(_parameters(disposition))
        if "name" not in parameters:
            raise _broken("a part has no name")
        return PartBegin(_unescaped(parameters["name"]), _filename(parameters), fields.get("content-type"))


def _broken(why: str) -> InvalidValue:
    return InvalidValue(f"this is no multipart/form-data: {why}", path=("body",), reason="invalid")


def _fields(head: bytes) -> dict[str, str]:
    if len(head) > HEAD_BYTES_MAX:
        raise _broken("the head of a part is too long")
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise _broken("the head of a part is not UTF-8") from error
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _parameters(field: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a header field. A backslash counts only before a quote: in a Windows path it is one."""
    for match in _PARAMETER.finditer(field):
        value = match[2]
        if value.startswith('"'):
            value = value[1:-1].replace('\\"', '"')
        yield match[1].lower(), value


def _filename(parameters: Mapping[str, str]) -> str | None:
    extended = parameters.get("filename*", "")
    encoding, _, rest = extended.partition("'")
    if encoding.lower() == "utf-8":
        try:
            return unquote_to_bytes(rest.partition("'")[2]).decode()
        except UnicodeDecodeError as error:
            raise _broken("filename* is not UTF-8") from error
    given = parameters.get("filename")
    return None if given is None else _unescaped(given)


def _unescaped(text: str) -> str:
    """Undo what browsers escape in names (HTML, 4.10.22.8): these three and nothing else."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
