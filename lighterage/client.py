"""The client behind the commands: logs in over GraphQL, uploads by tus with tuspy, picks up what broke off."""

import hashlib
import time
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

TIMEOUT_SECONDS = 60
TRIES_MAX = 10  # in a row without one byte more; the pauses between them double up to RETRY_SECONDS_MAX
RETRY_SECONDS_MAX = 30.0
RETRIED_STATUSES = (409, 423, 429, 460)

_LOG_IN = """mutation ($input: LogInInput!) {
  logIn(input: $input) { session { accessToken } userErrors { message } }
}"""
_CREATE = """mutation ($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload { id url status offset headers { name value } file { id } }
    userErrors { message }
  }
}"""
_UPLOAD = "query ($id: ID!) { upload(id: $id) { status file { id } } }"


class ClientError(Exception):
    """What the user of a command is told."""


def log_in(url: str, name: str, password: str) -> str:
    """Give an access token; ClientError says why there is none."""
    payload = _ask(url, _LOG_IN, {"input": {"email": name, "password": password}})["logIn"]
    _raise_user_errors(payload)
    return str(payload["session"]["accessToken"])


def upload(url: str, token: str, path: Path, *, chunk_bytes: int, again: bool = False) -> str:
    """
    Upload a file, or the rest of it, and give the file's id.

    The server is asked for an upload under a key made of the file's name, size, time and beginning. The same key gives
    the same upload back, so nothing has to be remembered here between two runs. The file's SHA-256 goes along, so that
    the server can tell whether it has the same bytes.
    """
    size = path.stat().st_size
    key = _fingerprint(path) + (f" {time.time_ns()}" if again else "")
    named = {"name": path.name, "size": size, "idempotencyKey": key, "sha256": _sha256(path)}
    payload = _ask(url, _CREATE, {"input": named}, token)["createUpload"]
    _raise_user_errors(payload)
    found = payload["upload"]
    if found["status"] in ("ABORTED", "EXPIRED", "FAILED"):
        return upload(url, token, path, chunk_bytes=chunk_bytes, again=True)
    if found["status"] != "COMPLETED":
        headers = {header["name"]: header["value"] for header in found["headers"]}
        _send(TusClient(found["url"], headers=headers), found["url"], path, size, chunk_bytes)
        found = _ask(url, _UPLOAD, {"id": found["id"]}, token)["upload"]
    return str(found["file"]["id"]) if found["file"] else ""


def _send(client: TusClient, url: str, path: Path, size: int, chunk_bytes: int) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with path.open("rb") as stream, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(path.name, total=size)
        tries, reached, offset = 0, -1, 0
        while offset < size:
            try:
                uploader = client.uploader(file_stream=stream, url=url, chunk_size=chunk_bytes)
                while (offset := uploader.offset) < size:
                    progress.update(task, completed=offset)
                    uploader.upload_chunk()  # type: ignore[no-untyped-call]
            except (TusCommunicationError, requests.RequestException) as error:
                tries = tries + 1 if offset <= reached else 0
                reached = offset
                _wait_or_give_up(error, tries)
        progress.update(task, completed=size)


def _wait_or_give_up(error: Exception, tries: int) -> None:
    """Wait before the next try, or raise what the server said."""
    status = getattr(error, "status_code", None)
    is_final = status is not None and 400 <= status < 500 and status not in RETRIED_STATUSES
    if is_final or tries >= TRIES_MAX:
        content = getattr(error, "response_content", None)
        detail = content.decode(errors="replace") if isinstance(content, bytes) else str(error)
        raise ClientError(f"the upload broke off: {detail[:500]}. Run the same command again to go on.") from error
    time.sleep(min(RETRY_SECONDS_MAX, 0.2 * 2**tries))


def _fingerprint(path: Path) -> str:
    stat = path.stat()
    digest = hashlib.sha256(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(2**20))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _ask(url: str, query: str, variables: dict[str, Any], token: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body: Any = {"query": query, "variables": variables}
    try:
        answer = requests.post(f"{url}/graphql", json=body, headers=headers, timeout=TIMEOUT_SECONDS)
        content = answer.json()
    except requests.RequestException as error:
        raise ClientError(f"{url} does not answer: is the server running?") from error
    if content.get("errors"):
        raise ClientError("; ".join(str(one["message"]) for one in content["errors"]))
    if "data" not in content:
        raise ClientError(str(content.get("detail", f"the server answered {answer.status_code}")))
    return content["data"]


def _raise_user_errors(payload: Any) -> None:
    if payload["userErrors"]:
        raise ClientError("; ".join(error["message"] for error in payload["userErrors"]))
