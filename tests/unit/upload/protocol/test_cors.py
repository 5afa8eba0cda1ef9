"""What browsers are told."""

import pytest

from upload.protocol.config import Config
from upload.protocol.cors import METHODS, REQUEST_HEADERS, RESPONSE_HEADERS, fields_for, preflight_fields_for

PAGE = "https://page.example"


def test_every_origin_by_default():
    fields = dict(fields_for(None, Config()))

    assert fields[b"access-control-allow-origin"] == b"*"
    assert b"vary" not in fields


def test_listed_origin_is_named_and_caches_are_told():
    config = Config(cors_origins=frozenset({PAGE}))

    assert dict(fields_for(PAGE, config))[b"access-control-allow-origin"] == PAGE.encode()
    assert dict(fields_for(PAGE, config))[b"vary"] == b"origin"
    assert dict(preflight_fields_for(PAGE, config))[b"access-control-allow-methods"]


@pytest.mark.parametrize("origin", [None, "https://other.example", "null", PAGE + ".evil.example"])
def test_other_origin_is_told_nothing(origin):
    config = Config(cors_origins=frozenset({PAGE}))

    assert fields_for(origin, config) == ((b"vary", b"origin"),)
    assert preflight_fields_for(origin, config) == ()


# What each client sets on its requests, or reads of an answer, as its source says; all through XMLHttpRequest or fetch.
SENT = {
    "tus-js-client 4, tus": "Tus-Resumable Upload-Length Upload-Defer-Length Upload-Metadata Upload-Concat "
    "Upload-Offset Content-Type X-HTTP-Method-Override X-Request-ID",
    "tus-js-client 4, IETF draft": "Upload-Draft-Interop-Version Upload-Complete Upload-Offset Upload-Length "
    "Content-Type",
    "Uppy, with a token": "Authorization X-Requested-With",
    "a page of one's own": "Upload-Checksum Repr-Digest Content-Digest Content-Disposition Want-Repr-Digest "
    "Idempotency-Key",
}
READ = {
    "tus-js-client 4": "Location Upload-Offset Upload-Length Upload-Complete Upload-Metadata Upload-Concat",
    "retries": "Retry-After WWW-Authenticate Allow",
    "discovery": "Tus-Version Tus-Resumable Tus-Max-Size Tus-Extension Tus-Checksum-Algorithm Upload-Limit "
    "Upload-Draft-Interop-Version",
    "state": "Upload-Defer-Length Upload-Expires Repr-Digest",
    "complaints": "X-Request-ID",
}


@pytest.mark.parametrize(("listed", "wanted"), [(REQUEST_HEADERS, SENT), (RESPONSE_HEADERS, READ)])
def test_lists_name_what_clients_send_and_read(listed, wanted):
    """A field that is left out fails in browsers only, where nobody tests it."""
    missing = {client: set(names.split()) - set(listed) for client, names in wanted.items()}

    assert {client: names for client, names in missing.items() if names} == {}
    assert len(set(map(str.lower, listed))) == len(listed)


def test_every_method_of_both_protocols_is_allowed():
    """A preflight that leaves one out ends the upload before it begins."""
    assert set(METHODS.split(", ")) == {"POST", "HEAD", "GET", "PUT", "PATCH", "DELETE", "OPTIONS"}
