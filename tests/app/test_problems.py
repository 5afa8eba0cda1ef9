"""How faults are told: problem documents everywhere, with nothing in them that is not the client's business."""

import json
import logging

import pytest

from tests.support.product import http_client, open_world, tus_client
from tests.support.upload_client import TUS

WRONG = {
    "unknown address": ("GET", "/nowhere", 404),
    "wrong method": ("POST", "/healthz", 405),
    "unknown file": ("GET", "/api/v1/files/x/content", 404),
    "tus without version": ("HEAD", "/files/x", 401),
    "tus method": ("GET", "/files/", 401),
}


@pytest.mark.parametrize(("method", "path", "status"), WRONG.values(), ids=WRONG)
async def test_fault_is_a_problem_document(world, method, path, status):
    """RFC 9457, whichever face answers."""
    async with http_client(world.app) as http:
        answer = await http.request(method, path)

    assert status == answer.status_code
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    if method != "HEAD":
        assert {"type", "title", "status", "detail", "code", "hint", "request_id"} <= answer.json().keys()
        assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_readyz_fails_when_the_store_is_full(tmp_path):
    """Who asks learns that uploads would fail, and when to ask again; the process lives all the same."""
    async with open_world(tmp_path, free_bytes_min=2**60) as world, http_client(world.app) as http:
        ready, live = await http.get("/readyz"), await http.get("/healthz")

    assert (ready.status_code, live.status_code) == (507, 200)
    assert int(ready.headers["retry-after"]) > 0
    assert ready.headers["content-type"] == "application/problem+json"


async def test_readyz_fails_when_the_folder_is_away(world, tmp_path):
    """A disk that was unmounted under us must not be filled from below."""
    (tmp_path / "files" / ".staging").rename(tmp_path / "gone")
    async with http_client(world.app) as http:
        answer = await http.get("/readyz")

    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text


async def test_readyz_answers_when_all_is_well(world):
    """200 as soon as uploads are accepted."""
    async with http_client(world.app) as http:
        answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["checks"]) == (200, {"records": "ok", "blobs": "ok"})


async def test_keys_are_public_and_hold_no_secret(world):
    """Others check our tokens with them."""
    async with http_client(world.app) as http:
        (key,) = (await http.get("/.well-known/jwks.json")).json()["keys"]

    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert "d" not in key


@pytest.mark.parametrize("face", ["rest", "tus"])
async def test_mistake_of_ours_shows_nothing_of_itself_R003_36(world, anna, monkeypatch, caplog, face):
    """The client gets an id, the log the rest."""

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret /srv/path")

    monkeypatch.setattr(world.product.services.files, "content", fail)
    monkeypatch.setattr(world.product.services.uploads, "status", fail)
    monkeypatch.setattr(world.product.services.uploads, "terminate", fail)
    with caplog.at_level(logging.ERROR):
        if face == "rest":
            async with anna.http as http:
                answer = await http.get(f"/api/v1/files/file_{'0' * 26}/content")
            status, fields, body = answer.status_code, answer.headers, answer.content
        else:
            gone = await anna.tus.send("DELETE", f"/files/upload_{'0' * 26}", TUS)
            status, fields, body = gone.status, gone.headers, gone.body

    assert (status, fields["content-type"]) == (500, "application/problem+json")
    assert b"secret" not in body
    assert json.loads(body)["request_id"] == fields["x-request-id"]
    assert "secret /srv/path" in caplog.text


async def test_store_that_is_away_is_told_without_its_place(world, anna, tmp_path):
    """503 and Retry-After; nothing was changed, and no path of the server is in the answer."""
    path = await anna.tus.create(5)
    (tmp_path / "files" / ".staging").rename(tmp_path / "gone")
    answer = await anna.tus.patch(path, 0, b"hello")
    (tmp_path / "gone").rename(tmp_path / "files" / ".staging")

    assert (answer.status, answer.problem["code"]) == (503, "store_unavailable")
    assert str(tmp_path).encode() not in answer.body
    assert int(answer.headers["retry-after"]) > 0
    assert (await anna.tus.patch(path, 0, b"hello")).status == 204


async def test_unknown_websocket_path_is_refused(world):
    """A handshake for nothing gets no connection."""
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/files/", "headers": [], "query_string": b"", "scheme": "ws"}
    await world.app(scope, receive, send)

    assert sent[0]["type"] == "websocket.close"


async def test_service_answers_alone_R000_2(world):
    """No other server has to run."""
    async with http_client(world.app) as http:
        assert (await http.get("/healthz")).status_code == 200
    assert (await tus_client(world.app).send("OPTIONS", "/files/")).status == 204
