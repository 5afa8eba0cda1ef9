"""docs/reference/protocols.md says what the code does."""

import re
from pathlib import Path

import pytest

from upload.protocol import rufh, tus1
from upload.protocol.config import Extension

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "protocols.md").read_text()
ROWS = re.findall(r"^\| (`[a-z_`, ]+`) \| (\S+) \| ([^|]+) \|", PAGE, re.MULTILINE)
STATUSES = {code: (tus, ietf) for codes, tus, ietf in ROWS for code in re.findall(r"[a-z_]+", codes)}


@pytest.mark.parametrize("code", sorted(STATUSES))
def test_table_of_errors_is_true(code):
    tus, ietf = STATUSES[code]

    if tus != "-":
        assert tus1.STATUS_BY_CODE[code] == int(tus)
    assert rufh.STATUS_BY_CODE[code] == int(ietf.split(" ")[0])


def test_table_of_errors_is_whole():
    """Faults of downloads, queries and log-ins cannot come from here."""
    others = {"cursor_invalid", "cursor_too_old", "file_not_ready", "invalid_credentials", "query_limit_exceeded"}
    others |= {"range_not_satisfiable", "sql_invalid", "email_not_verified", "sign_up_disabled"}
    others |= {
        "clock_skewed",
        "signature_invalid",
        "account_disabled",
        "file_deleted",
        "link_exhausted",
        "link_expired",
        "link_password_required",
        "not_processed",
        "lease_lost",
        "scanner_unavailable",
        "images_unavailable",
    }

    assert STATUSES.keys() | others == tus1.STATUS_BY_CODE.keys()


@pytest.mark.parametrize("extension", Extension)
def test_every_extension_is_described(extension):
    assert f"`{extension.value}`" in PAGE
