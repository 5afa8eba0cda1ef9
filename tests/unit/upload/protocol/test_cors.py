"""What browsers are told."""

import pytest

from upload.protocol.config import Config
from upload.protocol.cors import REQUEST_HEADERS, RESPONSE_HEADERS, fields_for, preflight_fields_for

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


def test_lists_name_what_clients_send_and_read():
    """A field that is left out fails in browsers only, where nobody tests it."""
    assert {"Authorization", "Content-Type", "Upload-Offset", "Tus-Resumable", "Upload-Complete"} <= set(
        REQUEST_HEADERS
    )
    assert {"Location", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Limit"} <= set(RESPONSE_HEADERS)
