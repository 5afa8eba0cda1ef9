"""
What a file is, told by its first bytes: a table of signatures after the public MIME-sniffing standard, and a few more.
"""

import re
from fnmatch import fnmatchcase

UNKNOWN = "application/octet-stream"
SNIFF_BYTES = 4096  # how much of a file's beginning `sniff` wants to see, less only where the file is shorter
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_MP4_BRAND_AT = 4

# What a file begins with, and its media type; the first that fits is taken.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1\x00\x00", "application/vnd.apache.arrow.file"),
    (b"Obj\x01", "application/avro"),
    (b"ORC", "application/x-orc"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x00asm", "application/wasm"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x00\x01\x00\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"QFI\xfb", "application/x-qemu-disk"),
    (b"{\\rtf", "application/rtf"),
)
_BY_FIRST_BYTE = {
    first: [one for one in _SIGNATURES if one[0][0] == first] for first in {one[0][0] for one in _SIGNATURES}
}
_RIFF_TYPES = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_MP4_BRANDS = {b"avif": "image/avif", b"heic": "image/heic", b"mif1": "image/heif", b"qt  ": "video/quicktime"}

# No zip file is one of these, whatever its sender says.
_SIGNED = frozenset({UNKNOWN, "application/x-tar", *(media_type for _, media_type in _SIGNATURES)})

# Types that text cannot be told apart by; the name decides between them.
_TEXT_SUFFIXES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "txt": "text/plain",
    "log": "text/plain",
}
# MIME Sniffing Standard, 3: "A binary data byte is a byte in the range 0x00 to 0x08 (NUL to BS), the byte 0x0B (VT), a
# byte in the range 0x0E to 0x1A (SO to SUB), or a byte in the range 0x1C to 0x1F (FS to US)."
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
# RFC 9110, 8.3.1: type "/" subtype, both tokens. Parameters are not kept.
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")


def parse_media_type(text: str | None) -> str:
    """Give a declared media type in lower case without parameters, or `UNKNOWN` where it is not one."""
    media_type = (text or "").partition(";")[0].strip().lower()
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else UNKNOWN


def sniff(beginning: bytes, *, name: str, declared: str) -> str:
    """
    Tell a file's media type.

    What the bytes say goes before what the client declared; where they only say "text" the name's suffix decides,
    and a declared text type is believed.

    Args:
        beginning: The first `SNIFF_BYTES` of the file, or all of a shorter one.

    Source: WHATWG MIME Sniffing Standard, 6 and 7; file formats' own documents for the rest.
    """
    if not beginning:
        return declared
    found = _signature(beginning)
    if found == "application/zip" and declared.startswith("application/") and declared not in _SIGNED:
        return declared  # office documents, jars and e-books are all zip files
    if found is not None:
        return found
    if _BINARY.search(beginning):
        return UNKNOWN if declared.startswith("text/") else declared
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix in _TEXT_SUFFIXES:
        return _TEXT_SUFFIXES[suffix]
    return "text/plain" if declared == UNKNOWN or not _is_textual(declared) else declared


def is_allowed(content_type: str, patterns: tuple[str, ...] | None) -> bool:
    """Tell whether a type is among those taken; `image/*` stands for a family, None for every type."""
    return patterns is None or any(fnmatchcase(content_type, pattern) for pattern in patterns)


def _is_textual(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.endswith(("json", "xml", "yaml", "javascript", "sql"))


def _signature(beginning: bytes) -> str | None:
    if beginning.startswith(_TAR_MAGIC, _TAR_MAGIC_AT):
        return "application/x-tar"  # begins with a name, which may look like anything
    for signature, media_type in _BY_FIRST_BYTE.get(beginning[0], ()):
        if beginning.startswith(signature):
            return media_type
    if beginning.startswith(b"RIFF"):
        return _RIFF_TYPES.get(beginning[8:12])
    if beginning.startswith(b"ftyp", _MP4_BRAND_AT):
        return _MP4_BRANDS.get(beginning[8:12], "video/mp4")
    return None
