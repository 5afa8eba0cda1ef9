"""What browsers must be told before a page of another origin may upload (Fetch standard, CORS protocol)."""

from upload.protocol.config import Config
from upload.protocol.message import Field

METHODS = "POST, HEAD, GET, PUT, PATCH, DELETE, OPTIONS"

# A wildcard never covers Authorization, so every name is spelt out.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Digest",
    "Content-Disposition",
    "Content-Type",
    "Idempotency-Key",
    "Repr-Digest",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Want-Repr-Digest",
    "X-HTTP-Method-Override",
    "X-Request-ID",
    "X-Requested-With",
)

RESPONSE_HEADERS = (
    "Allow",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
    "WWW-Authenticate",
    "X-Request-ID",
)

PREFLIGHT_SECONDS = 86_400  # browsers keep a preflight's answer no longer than this (Firefox; Chromium 7,200)

_EXPOSE: Field = (b"access-control-expose-headers", ", ".join(RESPONSE_HEADERS).encode())
_PREFLIGHT: tuple[Field, ...] = (
    (b"access-control-allow-methods", METHODS.encode()),
    (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
    (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
)
_ANY_ORIGIN: tuple[Field, ...] = ((b"access-control-allow-origin", b"*"), _EXPOSE)
_NO_ORIGIN: tuple[Field, ...] = ((b"vary", b"origin"),)


def fields_for(origin: str | None, config: Config) -> tuple[Field, ...]:
    """Give the CORS fields of every answer to a page of this origin (None: no page)."""
    if "*" in config.cors_origins:
        return _ANY_ORIGIN
    # The answer differs by origin, so a cache must not hand one page's answer to another.
    if origin is None or origin not in config.cors_origins:
        return _NO_ORIGIN
    return ((b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSE, *_NO_ORIGIN)


def preflight_fields_for(origin: str | None, config: Config) -> tuple[Field, ...]:
    """Give what an OPTIONS answer says on top: which methods and fields such a page may send."""
    if "*" in config.cors_origins or origin in config.cors_origins:
        return _PREFLIGHT
    return ()
