"""
The page for everybody, in a real browser against the real server: what people do with it, and what may happen to it.

One browser program runs all scenarios (web/tests/client.mjs); each test judges what came of one.
"""

import fcntl
import json
import os
import shutil
import subprocess
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from tests.support.product_server import EMAIL, PASSWORD, ServerProcess
from tests.support.sources import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SCRIPT = ROOT / "web" / "tests" / "client.mjs"
BROWSER_SECONDS_MAX = 360
LETTER_SECONDS_MAX = 10


class Harbour:
    """The server that the browser looks at, and what its scenarios want done to it."""

    def __init__(self, folder: Path) -> None:
        self._data_dir = folder / "data"
        self._environ = {
            "LIGHTERAGE_QUERY_WORKERS": "1",
            "LIGHTERAGE_ADDRESS_RATE": "10000/m",
            "LIGHTERAGE_LOG_IN_RATE": "10000/m",
        }
        self._server = self._started("0")
        self.url = self._server.url

    def _started(self, port: str) -> ServerProcess:
        return ServerProcess(self._data_dir, LIGHTERAGE_PORT=port, **self._environ)

    def close(self) -> None:
        self._server.close()

    def do(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["do"] == "stop":
            self._server.terminate()
        elif wanted["do"] == "start":
            self._server = self._started(self.url.rpartition(":")[2])
        elif wanted["do"] == "letter":
            return {"text": self._letter(wanted["to"])}
        elif wanted["do"] == "quota":
            self._command("quota", "main", str(wanted["bytes"]))
        else:
            raise AssertionError(wanted)
        return {}

    def _letter(self, to: str) -> str:
        """Give the newest letter to somebody; it is on its way when the page says so, and here a moment later."""
        deadline = time.monotonic() + LETTER_SECONDS_MAX
        while time.monotonic() < deadline:
            found = [message_from_bytes(path.read_bytes(), policy=default) for path in self._outbox()]
            for letter in reversed(found):
                body = letter.get_body()
                if letter["To"] == to and body is not None:
                    return str(body.get_content())
            time.sleep(0.05)
        raise AssertionError(f"no letter to {to}")

    def _outbox(self) -> list[Path]:
        return sorted((self._data_dir / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)

    def _command(self, *arguments: str) -> None:
        environ = os.environ | {"LIGHTERAGE_DATA_DIR": str(self._data_dir)}
        command = [ROOT / ".venv" / "bin" / "python", "-m", "lighterage", *arguments]
        subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The facts of every scenario; pictures are left in LIGHTERAGE_TEST_PICTURES, if set."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    if shutil.which("node") is None or not (ROOT / "web" / "dist" / "app" / "index.html").exists():
        pytest.skip("needs the built page: Node.js 20 or newer, then make web")
    pictures = os.environ.get("LIGHTERAGE_TEST_PICTURES") or str(tmp_path_factory.mktemp("pictures"))
    # Where tests run in several processes, one runs the scenarios and the others read what came of them.
    shared = tmp_path_factory.getbasetemp()
    kept = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "client-facts.json"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            harbour = Harbour(tmp_path_factory.mktemp("client"))
            try:
                kept.write_text(json.dumps(facts_of(harbour, chromium, pictures)))
            finally:
                harbour.close()
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def facts_of(harbour: Harbour, chromium: str, pictures: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    command = ["timeout", str(BROWSER_SECONDS_MAX), "node", SCRIPT, harbour.url, EMAIL, PASSWORD, pictures]
    environ = os.environ | {"CHROMIUM": chromium}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as browser:
        assert browser.stdin is not None
        assert browser.stdout is not None
        for line in browser.stdout:
            told = json.loads(line)
            if "do" in told:
                browser.stdin.write(json.dumps(harbour.do(told)) + "\n")
                browser.stdin.flush()
            else:
                facts[told["scenario"]] = told
    return facts


def facts(seen: dict[str, Any], scenario: str) -> dict[str, Any]:
    if scenario not in seen:
        pytest.fail(f"{scenario!r} was not run")
    assert "error" not in seen[scenario], seen[scenario]["error"]
    found: dict[str, Any] = seen[scenario]["facts"]
    return found


# ---- accounts


def test_wrong_password_is_told_and_opens_nothing(seen):
    """In words, beside the form."""
    found = facts(seen, "wrong password")

    assert "password" in found["said"]
    assert found["shell"] == 0


def test_sign_up_by_letter_leads_into_a_workspace_of_ones_own_R000_11(seen):
    """The letter's link may be pasted as it is; the new workspace is empty."""
    assert facts(seen, "sign up") == {"tenant": "Quay 7", "empty": "No files yet"}


def test_log_out_ends_every_tab(seen):
    """Nothing of the log-in stays in the browser."""
    assert facts(seen, "log out")["kept"] is None


# ---- uploads


def whole(found: dict[str, Any]) -> bool:
    return bool(found["file"]["sha256"] == found["digest"])


def resumed(found: dict[str, Any]) -> bool:
    """The bytes are right, and those that were there were not sent again."""
    return whole(found) and found["offset"] > 0


def test_chosen_files_arrive_and_are_listed_R002_11_R002_12_R002_13(seen):
    """A small one, one of several MiB, and one of no bytes."""
    assert whole(facts(seen, "choose"))


def test_folder_that_is_dropped_arrives_with_its_paths_R002_12(seen):
    """Whatever is in it, however deep; the list says where it lay."""
    assert facts(seen, "drop a folder") == {"dropped": True, "folder": "cargo/inner"}


def test_paused_upload_goes_on_where_it_stood_R002_12(seen):
    """Until then its row says how fast it goes and how long it takes."""
    found = facts(seen, "pause and resume")

    assert "/s" in found["moving"]
    assert "left" in found["moving"]
    assert 30 <= found["before"] < 100
    assert resumed(found)


def test_cancelled_upload_leaves_nothing_on_the_server(seen):
    """Its bytes are given back."""
    assert facts(seen, "cancel") == {"gone": True}


def test_reload_in_mid_upload_loses_nothing(seen):
    """The browser kept the file; the page goes on by itself."""
    assert resumed(facts(seen, "reload"))


def test_upload_of_a_closed_tab_goes_on_at_another_device(seen):
    """With the same file, from the byte where it stood; another content of that name and size is not mixed in."""
    found = facts(seen, "closed tab")

    assert 0 < found["stands"] == found["offset"]
    assert "content has changed" in found["refusal"]
    assert [found["digest"]] == [file["sha256"] for file in found["files"]]


def test_upload_survives_a_lost_network(seen):
    """It says so, waits, and goes on by itself."""
    found = facts(seen, "offline")

    assert "No network" in found["said"]
    assert resumed(found)


def test_upload_survives_a_server_that_is_started_again(seen):
    """It says so, waits, and goes on by itself."""
    found = facts(seen, "restart")

    assert "does not answer" in found["said"]
    assert resumed(found)


def test_log_in_that_ends_in_mid_upload_is_asked_for_and_the_upload_goes_on(seen):
    """The page stays as it is; nothing is uploaded twice."""
    found = facts(seen, "expired session")

    assert found["title"] == "Your log-in has ended"
    assert found["offset"] > 0
    assert [found["digest"]] == [file["sha256"] for file in found["files"]]


def test_refused_upload_says_which_rule_it_broke(seen):
    """And can be tried again once there is room."""
    assert "room" in facts(seen, "refused")["said"] or "quota" in facts(seen, "refused")["said"]


def test_five_thousand_files_at_once_are_no_matter_to_the_page(seen):
    """Few of them are rows and no frame takes long; after a reload those that had not arrived go on."""
    found = facts(seen, "five thousand")

    assert found["rows"] < 40
    assert found["longest"] < 10_000  # ms; the machine may be busy with other tests
    assert 4000 < found["again"] <= 4900


# ---- the list


def test_list_is_searched_sorted_and_filtered_R002_13(seen):
    """By parts of the name whatever their case, by name, by type."""
    assert facts(seen, "list") == {"found": ["alpha.csv"], "csv": ["alpha.csv"]}


def test_file_goes_into_the_trash_and_back_by_keyboard(seen):
    """Arrow keys, space and delete are enough."""
    assert facts(seen, "trash by keyboard") == {"selected": "1 file selected"}


def test_hundred_thousand_rows_stay_smooth(seen):
    """Of which only those in sight are there; more are asked for while one scrolls."""
    found = facts(seen, "many rows")

    assert found["rows"] < 60
    assert found["loaded"] > 1000
    assert found["longest"] < 2_500  # ms


# ---- one file


def test_file_is_shown_and_changed(seen):
    """A picture, a text, a table; its name, visibility and what it belongs to are edited; it is downloaded."""
    found = facts(seen, "look into files")

    assert found["width"] == 1
    assert found["said"].startswith("Der Mond")
    assert found["cells"] == ["s1", "1"]
    assert found["saved"] == "ships.csv"
    assert "Everybody here" in found["details"]
    assert "harbour 7" in found["details"]


def test_workbench_suggests_runs_draws_and_saves(seen):
    """Columns are offered, rows come in, a chart is drawn, all rows are in the download, faults name their place."""
    found = facts(seen, "query")

    assert "ship" in found["offered"]
    assert found["said"].startswith("2,400 rows")
    assert found["chart"] == "tons by ship"
    assert found["shown"] < 60
    assert (found["lines"], found["name"]) == (2401, "asked-result.csv")
    assert "line 1, column 8" in found["fault"]


# ---- sharing


def test_share_link_with_a_password_is_made_used_and_revoked(seen):
    """The guest needs no account; the wrong password is told; a revoked link looks like none."""
    found = facts(seen, "share")

    assert found["isOurs"]
    assert "password" in found["refusal"]
    assert (found["saved"], found["name"]) == ("for you", "gift.txt")
    assert found["gone"] == "This link does not work"


def test_guest_uploads_by_a_file_request_and_the_asker_is_told_R002_37(seen):
    """Without an account, on a phone."""
    assert "from-guest.bin has arrived" in facts(seen, "file request")["toast"]


# ---- others


def test_member_comes_in_by_an_invitation(seen):
    """The letter's code leads into the workspace that asked."""
    assert facts(seen, "invite") == {"tenant": "Main", "role": "MEMBER"}


def test_what_another_member_uploads_appears_within_a_second_R002_37_R002_43_R002_52(seen):
    """With a toast that says who added it, and without a reload; so does a new name."""
    found = facts(seen, "two browsers")

    assert found["seconds"] < 5  # at once, but for a machine that is busy with other tests
    assert "Berta added news.bin" in found["toast"]


def test_type_that_an_admin_does_not_want_is_refused_by_its_rule(seen):
    """Set in the page, told in the page."""
    assert "text/plain" in facts(seen, "limits")["said"]


def test_api_key_is_made_and_revoked(seen):
    """It is good for as long as it is there."""
    assert facts(seen, "keys") == {"viewer": EMAIL}


# ---- how it looks


def test_theme_follows_the_system_and_the_switch_is_kept_R002_45(seen):
    """Over a reload; set back, it follows again."""
    found = facts(seen, "theme")

    assert found["system"] == found["again"] != found["light"] == found["kept"]


def test_nothing_serious_stands_in_anybodys_way_R002_45(seen):
    """axe-core looked at every page in both themes, contrast among what it looks at; a phone scrolls one way only."""
    found = facts(seen, "looks")

    assert found["found"] == []
    assert found["overflow"] <= 0


def test_page_can_be_read_from_right_to_left(seen):
    """Everything changes sides, nothing sticks out."""
    assert facts(seen, "from right to left") == {"isMirrored": True, "overflow": 0}


def test_first_load_is_small_and_the_list_is_soon_there_on_fast_3g(seen):
    """160 kB of script at most; the list within a second beside the page's own bytes and the network's own time."""
    found = facts(seen, "first load")
    trips = 4  # the page, its scripts, the first answer, each after the one before; one to connect

    assert found["scripts"] < 160_000
    assert found["seconds"] < 5 + trips * found["roundTrip"]


# ---- everywhere


def test_nothing_leaves_the_origin_and_the_policy_is_kept(seen):
    """No request and no socket to anywhere else, nothing that `default-src 'self'` forbids, no error."""
    found = facts(seen, "everywhere")

    assert found == {"strangers": [], "violations": [], "errors": []}
