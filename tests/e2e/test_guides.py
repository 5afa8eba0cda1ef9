"""Each guide's blocks, copied and pasted into one shell, beside a server that was started as the guide wants it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.postman import FOLDER as POSTMAN
from tests.support.product_server import EMAIL, PASSWORD, serving
from tests.support.sources import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl"),
]


def follow(guide: str, folder: Path, *, given: dict[str, str] | None = None, **settings: str) -> str:
    """Run a guide's blocks in a folder; gives what the shell showed."""
    script = "\n".join(BLOCK.findall((ROOT / "docs" / "guides" / f"{guide}.md").read_text()))
    data_dir = folder / "server" / "data"
    work = folder / "work"
    work.mkdir(exist_ok=True)
    with serving(data_dir, LIGHTERAGE_FSYNC="false", **settings) as server:
        environ = {
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            "URL": server.url,
            "LIGHTERAGE_DATA_DIR": str(data_dir),
            "LIGHTERAGE_QUERY_WORKERS": "0",
            **(given or {}),
        }
        shell = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            shell, check=False, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(folder: Path, name: str) -> str:
    return (folder / "work" / name).read_text()


def test_csv_analyst_R000_4_R000_16_R000_18_R000_23_R000_25_R000_27(tmp_path):
    """Sign up, upload, ask, download; a guest gets nothing."""
    follow("csv-analyst", tmp_path, LIGHTERAGE_VERIFY_EMAIL="false", LIGHTERAGE_QUERY_WORKERS="1")
    made = json.loads(read(tmp_path, "made.json"))

    assert made["key"].startswith("ada@example.org/")
    assert made["name"] == "sales #1.csv"
    assert (tmp_path / "work" / "back" / "sales #1.csv").read_text().startswith("region,product,price")
    assert "anchor,12" in read(tmp_path, "found.csv")
    assert "rope" not in read(tmp_path, "found.csv")
    assert read(tmp_path, "nobody.txt").strip() == "401"


def test_map_stock_R001_4_R001_5_R001_6_R001_7_R001_9_R001_16_R001_19(tmp_path):
    """From `lighterage user` over the queue to a guest's download."""
    follow("map-stock", tmp_path)

    assert '"code":"not_processed"' in read(tmp_path, "early.txt")
    assert read(tmp_path, "early.txt").endswith("409\n")
    assert read(tmp_path, "back.txt") == "here be dragons\n"
    assert read(tmp_path, "off.txt").strip()[-3:] in ("401", "403")


def test_any_size_R002_1_R002_2_R002_53(tmp_path):
    """A form and a body come whole; what tus began goes on."""
    given = {"NAME": EMAIL, "PASSWORD": PASSWORD, "SIZE": "32M"}
    follow("any-size", tmp_path, given=given, LIGHTERAGE_BASIC_AUTH="true")
    (unfinished,) = json.loads(read(tmp_path, "unfinished.json"))["results"]
    (later,) = json.loads(read(tmp_path, "later.json"))["results"]

    assert read(tmp_path, "compared.txt").count("the same bytes") == 2
    assert (unfinished["offset"], unfinished["length"]) == (500_000, 2_000_000)
    assert later["size"] == 2_000_000


def test_ten_tenants_R003_1_R003_15_R003_18_R003_21_R003_22_R003_23_R003_24_R003_25_R003_26(tmp_path):
    """The calls of the multi-tenant source, in their order."""
    follow("ten-tenants", tmp_path)
    counts = [json.loads(read(tmp_path, f"{name}.json"))["count"] for name in ("product", "none", "other", "page")]

    assert counts == [1, 0, 0, 1]
    assert json.loads(read(tmp_path, "second.json"))["resource"] == "avatar"
    assert read(tmp_path, "bytes.txt") == "some bytes\n"
    assert read(tmp_path, "gone.txt").strip() == "404"


def test_user_directory_R004_1_R004_3_R004_16(tmp_path):
    """Empty, then one person whose picture comes back."""
    pytest.importorskip("PIL", reason="needs Pillow: pip install 'lighterage[images]'")
    (tmp_path / "work").mkdir()
    shutil.copy(POSTMAN / "avatar.png", tmp_path / "work" / "me.png")
    follow("user-directory", tmp_path, OPEN_USERS="true")

    assert json.loads(read(tmp_path, "empty.json")) == []
    assert [json.loads(read(tmp_path, "ada.json"))] == json.loads(read(tmp_path, "users.json"))
    assert (tmp_path / "work" / "avatar.webp").read_bytes()[:4] == b"RIFF"
    assert read(tmp_path, "refused.txt").endswith("415\n")
