"""
The XML of S3's SelectObjectContent: the request's body to values, a fault to a document.

The defaults here are S3's own, which are not everywhere those of our other doors.

Source: Amazon S3 API reference, "SelectObjectContent".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from xml.parsers import expat
from xml.sax.saxutils import escape

from domain.errors import SqlInvalid
from services.reading import Compression, Format, Header, OutputFormat, OutputKind, QuoteFields, Reading, Select

DEPTH_MAX = 8  # the request has five levels
Tree = dict[str, "Tree | str"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SelectRequest:
    select: Select
    output: OutputFormat
    wants_progress: bool


def parse_request(body: bytes) -> SelectRequest:
    """
    Read the request's body.

    Raises:
        SqlInvalid: With S3 Select's code for what is missing or cannot be.
    """
    if not body:
        raise SqlInvalid("the request has no body", sql_code="EmptyRequestBody")
    request = _only(_parse_xml(body), {"SelectObjectContentRequest"}, "the body")
    request = _element(request, "SelectObjectContentRequest")
    known = {
        "Expression",
        "ExpressionType",
        "RequestProgress",
        "InputSerialization",
        "OutputSerialization",
        "ScanRange",
    }
    _only(request, known, "SelectObjectContentRequest")
    expression = _required(request, "Expression")
    if _text(request, "ExpressionType").upper() != "SQL":
        raise SqlInvalid("ExpressionType must be SQL", sql_code="InvalidExpressionType")
    progress = _flag(_element(request, "RequestProgress"), "Enabled")
    reading = _reading(_serialization(request, "InputSerialization"), _element(request, "ScanRange"))
    return SelectRequest(
        Select(expression, reading), _output(_serialization(request, "OutputSerialization")), wants_progress=progress
    )


def error_document(code: str, message: str, *, resource: str, request_id: str) -> bytes:
    """Write a fault as S3 does."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message>"
        f"<Resource>{escape(resource)}</Resource><RequestId>{escape(request_id)}</RequestId></Error>"
    ).encode()


# ---- the parts of a request


def _reading(given: Tree, scan_range: Tree) -> Reading:
    _only(given, {"CSV", "JSON", "Parquet", "CompressionType"}, "InputSerialization")
    kind = _kind(given, ("CSV", "JSON", "Parquet"))
    compression = _choice(_text(given, "CompressionType") or "NONE", Compression, "InvalidCompressionFormat")
    csv = _element(given, "CSV")
    start, end = _byte(scan_range, "Start"), _byte(scan_range, "End")
    if kind == "JSON":
        kinds = {"DOCUMENT": Format.JSON_DOCUMENT, "LINES": Format.JSON_LINES}
        found = kinds.get(_text(_element(given, "JSON"), "Type").upper())
        if found is None:
            raise SqlInvalid("the JSON type is DOCUMENT or LINES", sql_code="InvalidJsonType")
        return Reading(format=found, compression=compression, start_byte=start, end_byte=end)
    if kind == "Parquet":
        return Reading(format=Format.PARQUET, compression=compression, start_byte=start, end_byte=end)
    return Reading(
        format=Format.CSV,
        compression=compression,
        header=_choice(_text(csv, "FileHeaderInfo") or "NONE", Header, "InvalidFileHeaderInfo"),
        delimiter=_text(csv, "FieldDelimiter") or ",",
        record_delimiter=_text(csv, "RecordDelimiter") or "\n",
        quote=_text(csv, "QuoteCharacter") or '"',
        escape=_text(csv, "QuoteEscapeCharacter") or '"',
        # "The default character is #."
        comment=_text(csv, "Comments") or "#",
        # "Default value is set to FALSE."
        allow_quoted_record_delimiter=_flag(csv, "AllowQuotedRecordDelimiter"),
        start_byte=start,
        end_byte=end,
    )


def _output(wanted: Tree) -> OutputFormat:
    _only(wanted, {"CSV", "JSON"}, "OutputSerialization")
    kind = _kind(wanted, ("CSV", "JSON"))
    options = _element(wanted, kind)
    end = _text(options, "RecordDelimiter") or "\n"
    if kind == "JSON":
        return OutputFormat(OutputKind.JSON, record_delimiter=end)
    return OutputFormat(
        OutputKind.CSV,
        delimiter=_text(options, "FieldDelimiter") or ",",
        record_delimiter=end,
        quote=_text(options, "QuoteCharacter") or '"',
        escape=_text(options, "QuoteEscapeCharacter") or '"',
        quote_fields=_choice(_text(options, "QuoteFields") or "ASNEEDED", QuoteFields, "InvalidQuoteFields"),
    )


def _serialization(request: Tree, name: str) -> Tree:
    if name not in request:
        raise SqlInvalid(f"{name} is missing", sql_code="MissingRequiredParameter")
    return _element(request, name)


def _kind(given: Tree, kinds: tuple[str, ...]) -> str:
    found = [kind for kind in kinds if kind in given]
    if not found:
        raise SqlInvalid(f"name one of {', '.join(kinds)}", sql_code="InvalidDataSource")
    if len(found) > 1:
        raise SqlInvalid("name exactly one format of input and of output", sql_code="ObjectSerializationConflict")
    return found[0]


def _choice(text: str, choices: Mapping[str, _T] | type[_T], code: str) -> _T:
    members: Mapping[str, _T] = getattr(choices, "__members__")  # noqa: B009 (every choice here is an enum)
    if text.upper() not in members:
        raise SqlInvalid(f"must be one of {', '.join(members)}", sql_code=code)
    return members[text.upper()]


def _byte(scan_range: Tree, name: str) -> int | None:
    text = _text(scan_range, name)
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise SqlInvalid("the scan range is not valid", sql_code="InvalidScanRange")
    return int(text) if text else None


def _flag(element: Tree, name: str) -> bool:
    text = _text(element, name).lower()
    if text not in ("", "true", "false"):
        raise SqlInvalid(f"{name} must be true or false", sql_code="InvalidRequestParameter")
    return text == "true"


def _required(element: Tree, name: str) -> str:
    text = _text(element, name)
    if not text:
        raise SqlInvalid(f"{name} is missing", sql_code="MissingRequiredParameter")
    return text


def _text(element: Tree, name: str) -> str:
    found = element.get(name, "")
    if isinstance(found, str):
        return found
    raise SqlInvalid(f"{name} holds text", sql_code="MalformedXML")


def _element(element: Tree, name: str) -> Tree:
    found = element.get(name, {})
    if isinstance(found, dict):
        return found
    if found.strip():
        raise SqlInvalid(f"{name} holds other elements", sql_code="MalformedXML")
    return {}


def _only(element: Tree, known: set[str], where: str) -> Tree:
    for name in element:
        if name not in known:
            raise SqlInvalid(f"{where} has no element {name[:60]}", sql_code="MalformedXML")
    return element


# ---- XML


def _parse_xml(body: bytes) -> Tree:
    """Read elements and text into nested dicts. No attribute is looked at, and no DOCTYPE is let in."""
    parser = expat.ParserCreate(namespace_separator=" ")
    stack: list[tuple[Tree, list[str]]] = [({}, [])]

    def begin(_name: str, _attributes: Mapping[str, str]) -> None:
        if len(stack) > DEPTH_MAX:
            raise SqlInvalid("the request is nested too deeply", sql_code="MalformedXML")
        stack.append(({}, []))

    def end(name: str) -> None:
        children, texts = stack.pop()
        parent = stack[-1][0]
        name = name.rpartition(" ")[2]
        if name in parent:
            raise SqlInvalid(f"{name[:60]} comes twice", sql_code="MalformedXML")
        parent[name] = children or "".join(texts)

    def characters(text: str) -> None:
        stack[-1][1].append(text)

    def doctype(*_: object) -> None:
        raise SqlInvalid("a DOCTYPE is not taken", sql_code="MalformedXML")

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise SqlInvalid("the request is not well-formed XML", sql_code="MalformedXML") from error
    return stack[0][0]
