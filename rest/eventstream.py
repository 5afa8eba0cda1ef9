"""
The event stream of SelectObjectContent: messages with headers and two checksums each.

Records, Stats, Progress, Cont and End as S3 Select sends them, and the error message that ends a stream. Bytes in,
bytes out; who sends them and when is the wire call's business.

Source: Amazon S3 API reference, "Appendix: SelectObjectContent Response".
"""

import struct
import zlib
from typing import Final

PAYLOAD_BYTES_MAX: Final = 128 << 10  # SDKs take more; AWS sends about this much
_PRELUDE: Final = struct.Struct(">II")
_CHECKSUM: Final = struct.Struct(">I")
_STRING_TYPE: Final = 7  # header values are always strings here
_OVERHEAD_BYTES: Final = 16  # lengths and both checksums


def message(headers: dict[str, str], payload: bytes | memoryview = b"") -> bytes:
    """One message: lengths, their checksum, headers, payload, checksum of all."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = _PRELUDE.pack(_OVERHEAD_BYTES + len(head) + len(payload), len(head))
    front = prelude + _CHECKSUM.pack(zlib.crc32(prelude)) + head
    checksum = zlib.crc32(payload, zlib.crc32(front))
    return b"".join((front, payload, _CHECKSUM.pack(checksum)))


def _header(name: str, value: str) -> bytes:
    encoded, text = name.encode(), value.encode()
    return bytes([len(encoded)]) + encoded + bytes([_STRING_TYPE]) + struct.pack(">H", len(text)) + text


def records(payload: bytes | memoryview) -> bytes:
    """Part of the result. A record may go over the end of a message, as in S3 Select."""
    return message(_event("Records", "application/octet-stream"), payload)


def continuation() -> bytes:
    """Keeps the connection alive while nothing is found."""
    return message(_event("Cont"))


def progress(*, scanned_bytes: int, processed_bytes: int, returned_bytes: int) -> bytes:
    """How far the query is; only sent when it was asked for."""
    return message(_event("Progress", "text/xml"), _counts("Progress", scanned_bytes, processed_bytes, returned_bytes))


def statistics(*, scanned_bytes: int, processed_bytes: int, returned_bytes: int) -> bytes:
    """The totals, once, before the end."""
    return message(_event("Stats", "text/xml"), _counts("Stats", scanned_bytes, processed_bytes, returned_bytes))


def end() -> bytes:
    """A stream without this message was cut off, and its records must not be trusted."""
    return message(_event("End"))


def error(code: str, text: str) -> bytes:
    """Ends a stream that already began."""
    return message({":error-code": code, ":error-message": text[:1024], ":message-type": "error"})


def _event(name: str, content_type: str = "") -> dict[str, str]:
    headers = {":message-type": "event", ":event-type": name}
    return headers | {":content-type": content_type} if content_type else headers


def _counts(element: str, scanned: int, processed: int, returned: int) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{element}><BytesScanned>{scanned}</BytesScanned>'
        f"<BytesProcessed>{processed}</BytesProcessed><BytesReturned>{returned}</BytesReturned></{element}>"
    ).encode()
