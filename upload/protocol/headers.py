"""
Header fields, one function each: text to value, or value to text.

A parser raises InvalidValue whose path names the field (LengthExceeded for a length no store could hold), whatever the
text; what a value means for an upload is decided elsewhere.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes, urlsplit

from domain.errors import InvalidValue, LengthExceeded
from domain.file import METADATA_ENTRIES_MAX
from domain.ids import UploadId, is_id
from domain.upload import LENGTH_MAX, Checksum, Concatenation
from upload.protocol import structured
from upload.protocol.checksums import digest_size
from upload.protocol.errors import ChecksumAlgorithmUnsupported

_DIGITS = re.compile(r"[0-9]{1,40}", re.ASCII)  # int() would take '+5', '1_0' and digits of other scripts
_METADATA_PAIR = re.compile(r"([\x21-\x2b\x2d-\x7e]+)(?: ([A-Za-z0-9+/]*={0,2}))?", re.ASCII)
MEMBERS_MAX = 10_000  # partial uploads in one final upload: the parts that S3 lets an object have


def _invalid(field: str, message: str) -> InvalidValue:
    return InvalidValue(f"{field}: {message}", path=(field,))


def _parse_base64(text: str, *, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(field, "a value is not Base64") from None


# ---- numbers of bytes


def parse_offset(text: str) -> int:
    """Parse tus' Upload-Offset. tus 1.0: "The value MUST be a non-negative integer"."""
    if not _DIGITS.fullmatch(text) or (offset := int(text)) > LENGTH_MAX:
        raise _invalid("Upload-Offset", "not a non-negative integer")
    return offset


def parse_length(text: str) -> int:
    """
    Parse tus' Upload-Length. tus 1.0: "The value MUST be a non-negative integer".

    Raises:
        InvalidValue: It is none.
        LengthExceeded: It is one that no store can hold.
    """
    if not text.isascii() or not text.isdigit():
        raise _invalid("Upload-Length", "not a non-negative integer")
    if not _DIGITS.fullmatch(text) or (length := int(text)) > LENGTH_MAX:
        raise LengthExceeded(f"Upload-Length: no file is longer than {LENGTH_MAX} bytes")
    return length


def parse_defer_length(text: str) -> None:
    """Check Upload-Defer-Length. tus 1.0: "Its value MUST be `1`"."""
    if text != "1":
        raise _invalid("Upload-Defer-Length", "the only value is 1")


# ---- metadata


def parse_metadata(text: str) -> tuple[tuple[str, bytes], ...]:
    """
    Parse Upload-Metadata, in the order sent.

    tus 1.0: "MUST consist of one or more comma-separated key-value pairs. The key and value MUST be separated by a
    space. The key MUST NOT contain spaces and commas and MUST NOT be empty. The key SHOULD be ASCII encoded and the
    value MUST be Base64 encoded. All keys MUST be unique. The value MAY be empty. In these cases, the space [...] MAY
    be left out."

    An empty field is taken as no metadata, for some clients always send it; blanks around a comma are HTTP's own.
    """
    if not text.strip(" \t"):
        return ()
    pairs = text.split(",", METADATA_ENTRIES_MAX)
    if len(pairs) > METADATA_ENTRIES_MAX:
        raise _invalid("Upload-Metadata", f"at most {METADATA_ENTRIES_MAX} pairs")
    entries: dict[str, bytes] = {}
    for pair in pairs:
        match = _METADATA_PAIR.fullmatch(pair.lstrip(" \t").rstrip("\t")) or _METADATA_PAIR.fullmatch(pair.strip(" \t"))
        if match is None:
            raise _invalid("Upload-Metadata", "a pair is not a key of printable ASCII, a space and a Base64 value")
        key = match[1]
        if key in entries:
            raise _invalid("Upload-Metadata", f"the key {key[:64]!r} comes twice")
        entries[key] = _parse_base64(match[2] or "", field="Upload-Metadata")
    return tuple(entries.items())


# ---- checksums

CHECKSUM_OF_TRAILER = "trailer"
"""Stands for the algorithm while it is not known: a trailer names it only when the body has come."""


def parse_checksum(text: str, *, algorithms: tuple[str, ...]) -> Checksum:
    """
    Parse Upload-Checksum.

    tus 1.0: "MUST consist of the name of the used checksum algorithm and the Base64 encoded checksum separated by a
    space."

    Raises:
        ChecksumAlgorithmUnsupported: The algorithm is none of `algorithms`.
    """
    algorithm, space, encoded = text.partition(" ")
    if not algorithm or not space:
        raise _invalid("Upload-Checksum", "not an algorithm, a space and a Base64 checksum")
    if algorithm not in algorithms:
        raise ChecksumAlgorithmUnsupported(algorithm)
    digest = _parse_base64(encoded, field="Upload-Checksum")
    if len(digest) != digest_size(algorithm):
        raise _invalid("Upload-Checksum", f"a {algorithm} checksum has {digest_size(algorithm)} bytes")
    return Checksum(algorithm, digest)


def names_field(text: str, field: str) -> bool:
    """Tell whether a comma-separated list of field names, as in `Trailer`, holds one of them."""
    return field in {name.strip(" \t").lower() for name in text.split(",")}


# ---- digests (RFC 9530)

_DIGEST_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}  # those that are not deprecated


def parse_repr_digest(text: str) -> bytes | None:
    """
    Give the SHA-256 of the whole file out of Repr-Digest; None where it holds only digests of other kinds.

    RFC 9530, 3: a dictionary whose "value is a Byte Sequence that contains the output".
    """
    return _parse_digests(text, field="Repr-Digest").get("sha256")


def parse_content_digest(text: str) -> Checksum | None:
    """Give what a request's bytes must hash to out of Content-Digest; None where no algorithm of it is known."""
    digests = _parse_digests(text, field="Content-Digest")
    return next((Checksum(algorithm, digest) for algorithm, digest in digests.items()), None)


def _parse_digests(text: str, *, field: str) -> dict[str, bytes]:
    members = structured.parse_dictionary(text)
    if members is None:
        raise _invalid(field, "not a dictionary of digests")
    digests: dict[str, bytes] = {}
    for key, algorithm in _DIGEST_ALGORITHMS.items():
        if key in members:
            digest = structured.parse_bytes(members[key])
            if digest is None or len(digest) != digest_size(algorithm):
                raise _invalid(field, f"{key} is not a digest of {digest_size(algorithm)} bytes")
            digests[algorithm] = digest
    return digests


# ---- names

_DISPOSITION_PARAMETER = re.compile(
    r';[ \t]*([A-Za-z*_-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;\s"]+)[ \t]*', re.ASCII | re.DOTALL
)
_DISPOSITION = re.compile(rf"[ \t]*[A-Za-z-]+[ \t]*(?:{_DISPOSITION_PARAMETER.pattern})*", re.ASCII | re.DOTALL)


def parse_disposition_name(text: str) -> bytes | None:
    """
    Give the file's name in UTF-8 out of Content-Disposition, or None where there is none to be read.

    RFC 6266, 4.3: "recipients SHOULD pick 'filename*' and ignore 'filename'" when both are there. A plain filename is
    what browsers send there: UTF-8 in all but name.
    """
    if not _DISPOSITION.fullmatch(text):
        return None
    parameters = {match[1].lower(): match[2] for match in _DISPOSITION_PARAMETER.finditer(text)}
    charset, _, extended = parameters.get("filename*", "").partition("'")
    _, quote, encoded = extended.partition("'")
    if quote and charset.lower() == "utf-8":
        return unquote_to_bytes(encoded)
    name = parameters.get("filename")
    if name is None:
        return None
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
    return name.encode("latin-1")


# ---- concatenation


def parse_concat(text: str, *, location_prefixes: tuple[str, ...]) -> tuple[Concatenation, tuple[UploadId, ...]]:
    """
    Parse Upload-Concat.

    tus 1.0: "If the upload is a partial one, the header value MUST be `partial`. In the case of a final upload, its
    value MUST be `final` followed by a semicolon and a space-separated list of partial upload URLs [...] The partial
    uploads URLs MAY be absolute or relative".

    Args:
        location_prefixes: Paths under which uploads live; of an absolute address only the path is looked at, because
            behind a proxy nobody here knows all names of this server.
    """
    if text == "partial":
        return Concatenation.PARTIAL, ()
    if not text.isascii() or not text.isprintable():
        raise _invalid("Upload-Concat", "not printable ASCII")  # it is sent back as it came
    kind, semicolon, listed = text.partition(";")
    if kind != "final" or not semicolon:
        raise _invalid("Upload-Concat", "neither 'partial' nor 'final;' and a list of addresses")
    addresses = listed.split(" ", MEMBERS_MAX + 1)
    addresses = [address for address in addresses if address]
    if not 0 < len(addresses) <= MEMBERS_MAX:
        raise _invalid("Upload-Concat", f"a final upload is made of 1 to {MEMBERS_MAX} partial uploads")
    return Concatenation.FINAL, tuple(_parse_member(address, location_prefixes) for address in addresses)


def _parse_member(address: str, location_prefixes: tuple[str, ...]) -> UploadId:
    try:
        path = urlsplit(address).path
    except ValueError:
        raise _invalid("Upload-Concat", "an address is not a URL") from None
    # "/files/a", "https://host/files/a", and relative to "/files/": "a", "./a", "files/a"
    for prefix in location_prefixes:
        for start in (prefix, prefix.lstrip("/"), "./", ""):
            tail = path.removeprefix(start)
            if path.startswith(start) and is_id(tail, "upload"):
                return UploadId(tail)
    raise _invalid("Upload-Concat", "an address is not that of an upload")


def format_concat(concatenation: Concatenation, members: tuple[UploadId, ...], *, location_prefix: str) -> str:
    if concatenation is Concatenation.PARTIAL:
        return "partial"
    return "final;" + " ".join(location_prefix + member for member in members)


# ---- time


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 9110's IMF-fixdate: `Wed, 25 Jun 2014 16:00:00 GMT`."""
    utc = moment.astimezone(UTC)
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day:02} {month} {utc.year:04} {utc.hour:02}:{utc.minute:02}:{utc.second:02} GMT"
