"""What a query asks of a worker, as it goes over the pipe."""

import json
from dataclasses import asdict, dataclass

from query.formats import (
    Compression,
    Header,
    InputFormat,
    JsonType,
    Kind,
    OutputFormat,
    OutputKind,
    QuoteFields,
    ScanRange,
)


@dataclass(frozen=True, slots=True)
class Request:
    """
    One query.

    Attributes:
        size_bytes: The size of a source that is read by ranges; None when the worker was given the open file.
        now: What UTCNOW() gives.
        is_describe: Only the columns are wanted.
    """

    sql: str
    input: InputFormat
    output: OutputFormat
    now: str
    size_bytes: int | None = None
    scan_bytes_max: int | None = None
    result_bytes_max: int | None = None
    is_describe: bool = False

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def from_json(text: bytes) -> "Request":
        values = json.loads(text)
        given, wanted = values.pop("input"), values.pop("output")
        scan_range = given.pop("scan_range")
        return Request(
            **values,
            input=InputFormat(
                **given
                | {
                    "kind": Kind(given["kind"]),
                    "compression": Compression(given["compression"]),
                    "header": Header(given["header"]),
                    "json_type": JsonType(given["json_type"]),
                    "scan_range": None if scan_range is None else ScanRange(**scan_range),
                }
            ),
            output=OutputFormat(
                **wanted | {"kind": OutputKind(wanted["kind"]), "quote_fields": QuoteFields(wanted["quote_fields"])}
            ),
        )
