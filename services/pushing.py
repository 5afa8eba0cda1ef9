"""
Which queries a store may run itself (S3's SelectObjectContent), and what it is asked then. Pure.

Only AWS is on the list, for its dialect is the one that we hold ourselves to. Others answer some queries differently
without saying so (MinIO loses records with quoted line ends, Ceph and moto answer another question), and never run any.
"""

from query.formats import Compression, InputFormat, Kind, OutputFormat, OutputKind


def request_of(sql: str, reading: InputFormat, output: OutputFormat) -> dict[str, object] | None:
    """
    Say what S3 is to be asked, in boto3's words; None where S3 cannot be asked just this.

    What it does not have: ZSTD, a header in the output, CSV in which no character begins a comment.
    """
    if reading.compression is Compression.ZSTD or output.header:
        return None
    if reading.kind is Kind.CSV and not reading.comment:
        return None
    request: dict[str, object] = {
        "Expression": sql,
        "InputSerialization": _input(reading),
        "OutputSerialization": _output(output),
        "RequestProgress": {"Enabled": True},
    }
    if reading.scan_range is not None:
        ends = {"Start": reading.scan_range.start, "End": reading.scan_range.end}
        request["ScanRange"] = {name: value for name, value in ends.items() if value is not None}
    return request


def record_end(request: dict[str, object]) -> bytes:
    """What ends each record of the answer to a request."""
    output = request["OutputSerialization"]
    assert isinstance(output, dict)
    (options,) = output.values()
    return str(options["RecordDelimiter"]).encode()


def _input(reading: InputFormat) -> dict[str, object]:
    if reading.kind is Kind.PARQUET:
        return {"Parquet": {}}
    packed = {"CompressionType": reading.compression.value}
    if reading.kind is Kind.JSON:
        return {"JSON": {"Type": reading.json_type.value}, **packed}
    options = {
        "FileHeaderInfo": reading.header.value,
        "FieldDelimiter": reading.delimiter,
        "RecordDelimiter": reading.record_delimiter,
        "QuoteCharacter": reading.quote,
        "QuoteEscapeCharacter": reading.escape,
        "Comments": reading.comment,
        "AllowQuotedRecordDelimiter": reading.allow_quoted_record_delimiter,
    }
    return {"CSV": options, **packed}


def _output(output: OutputFormat) -> dict[str, object]:
    if output.kind is OutputKind.JSON:
        return {"JSON": {"RecordDelimiter": output.record_delimiter}}
    options = {
        "FieldDelimiter": output.delimiter,
        "RecordDelimiter": output.record_delimiter,
        "QuoteCharacter": output.quote,
        "QuoteEscapeCharacter": output.escape,
        "QuoteFields": output.quote_fields.value,
    }
    return {"CSV": options}
