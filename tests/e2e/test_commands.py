"""The commands that ask a server, against a real one; and jobs, when it is killed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lighterage import fetching
from lighterage.cli import app
from tests.support.product_server import Connection, ServerProcess, new_token

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 2000


class Server:
    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.token = asyncio.run(new_token(self.data_dir))
        self.process = ServerProcess(self.data_dir, LIGHTERAGE_QUERY_WORKERS="0")

    def run(self, command: str, *arguments: str) -> Result:
        where = ["--url", self.process.url, "--token", self.token]
        return CliRunner().invoke(app, [command, *arguments, *where])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("commands"))
    yield made
    made.process.terminate()


@pytest.fixture
def file_id(server, tmp_path) -> str:
    (tmp_path / "größe.bin").write_bytes(CONTENT)
    done = server.run("upload", str(tmp_path / "größe.bin"), "--again", "--json")
    assert 0 == done.exit_code, done.output
    return json.loads(done.stdout)["file"]


def test_download_brings_the_same_bytes_under_their_name(server, file_id, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    done = server.run("download", file_id)
    again = server.run("download", file_id)

    assert (0, "größe.bin") == (done.exit_code, done.stdout.strip().splitlines()[-1])
    assert ["größe.bin"] == [path.name for path in Path().iterdir()]
    assert CONTENT == Path("größe.bin").read_bytes()
    assert (1, True) == (again.exit_code, "is there already" in again.output)


def test_download_that_broke_off_goes_on(server, file_id, tmp_path, monkeypatch):
    """Only the rest is asked for."""
    asked = []
    fetch_from = fetching._fetch_from

    def watched(session, address, out, etag, told):
        asked.append(out.tell())
        return fetch_from(session, address, out, etag, told)

    def broken(session, address, out, etag, told):
        out.write(CONTENT[:1000])
        raise fetching.ClientError("the cable")

    monkeypatch.setattr(fetching, "_fetch_from", broken)
    first = server.run("download", file_id, "-o", str(tmp_path / "out"))
    monkeypatch.setattr(fetching, "_fetch_from", watched)
    second = server.run("download", file_id, "-o", str(tmp_path / "out"))

    assert (1, 0) == (first.exit_code, second.exit_code)
    assert [1000] == asked
    assert CONTENT == (tmp_path / "out").read_bytes()


def test_part_of_another_content_is_not_gone_on_with(server, file_id, tmp_path):
    (tmp_path / "out.part").write_bytes(b"old")
    (tmp_path / "out.part.etag").write_text('"another"')
    done = server.run("download", file_id, "-o", str(tmp_path / "out"))

    assert 0 == done.exit_code
    assert CONTENT == (tmp_path / "out").read_bytes()


def test_bytes_that_are_wrong_are_not_handed_over(server, file_id, tmp_path, monkeypatch):
    def wrong(session, address, out, etag, told):
        out.write(bytes(len(CONTENT)))

    monkeypatch.setattr(fetching, "_fetch_from", wrong)
    done = server.run("download", file_id, "-o", str(tmp_path / "out"))

    assert (1, False) == (done.exit_code, (tmp_path / "out").exists())
    assert "not what the server has" in done.output


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/etc/passwd", "a\\b", "..%2Fx"])
def test_name_leads_out_of_no_folder(name):
    """It is the uploader's."""
    head = {"Content-Disposition": f"attachment; filename*=UTF-8''{fetching.requests.utils.quote(name, safe='')}"}
    found = fetching._name_of(head)

    assert found is None or ("/" not in found and "\\" not in found and found.strip(". "))


def test_unknown_file_and_wrong_token_are_told(server, tmp_path):
    unknown = server.run("download", "file_01kakc0f8sfxv8q7c3s3b2v4mn", "-o", str(tmp_path / "x"))
    stranger = CliRunner().invoke(app, ["export", "--url", server.process.url, "--token", "wrong"])

    assert (1, True) == (unknown.exit_code, "no such file" in unknown.output)
    assert 1 == stranger.exit_code


def test_export_is_changed_and_brought_back(server, file_id, tmp_path):
    """Metadata of every file, a line each; a line that is wrong keeps none of the others from being taken."""
    exported = server.run("export")
    documents = {one["id"]: one for one in map(json.loads, exported.stdout.splitlines())}
    mine = next(one for key, one in documents.items() if file_id in (key, one["id"]) or one["name"] == "größe.bin")
    changed = mine | {"name": "neu.bin", "metadata": {"note": "über"}, "visibility": "tenant"}
    unknown = mine | {"id": "019aab1c-54e0-7c5b-b5f1-9e0c8a2f6d11"}
    path = tmp_path / "files.jsonl"
    path.write_text("\n".join([json.dumps(changed), "nonsense", json.dumps(unknown)]))
    done = server.run("import", str(path), "--json")
    after = {one["id"]: one for one in map(json.loads, server.run("export").stdout.splitlines())}[mine["id"]]

    assert 1 == done.exit_code
    facts = json.loads(done.stdout)
    assert (1, ["line 2", "line 3"]) == (facts["changed"], [fault[:6] for fault in facts["faults"]])
    assert ("neu.bin", {"note": "über"}, "tenant") == (after["name"], after["metadata"], after["visibility"])
    assert (mine["sha256"], mine["created_at"]) == (after["sha256"], after["created_at"])


def test_kill_loses_no_job_R001_14(tmp_path):
    """Killed as soon as the last byte was acknowledged: each file that is there has its job."""
    data_dir = tmp_path / "data"
    token = asyncio.run(new_token(data_dir))
    server = ServerProcess(data_dir, LIGHTERAGE_QUERY_WORKERS="0", LIGHTERAGE_PROCESSING="*=process!")
    try:
        with Connection(server.url, token) as connection:
            for _ in range(5):
                path = connection.create(5)
                connection.start_patch(path, 0, 5)
                connection.send(b"hello")
                assert 204 == connection.answer()[0]
    finally:
        server.kill()
    environment = {"LIGHTERAGE_DATA_DIR": str(data_dir)}
    runs = [CliRunner().invoke(app, ["queue", "--json"], env=environment) for _ in range(6)]

    assert [0, 0, 0, 0, 0, 3] == [run.exit_code for run in runs]
    assert 5 == len({json.loads(run.stdout)["file"] for run in runs[:5]})
