"""The client behind `download`, `export` and `import`: files and what is noted about them, over REST."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from lighterage.client import ClientError

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 2**20
TRIES_MAX = 10  # in a row without one byte more
PAGE_SIZE = 100
CHANGED = ("name", "visibility", "resource", "resource_id", "metadata", "expires_at")
"""What `import` brings back; the rest of an export is there to be read."""

_NAME = re.compile(r"filename\*=UTF-8''([^;]+)", re.IGNORECASE)


def download(url: str, token: str, file_id: str, target: Path | None) -> Path:
    """
    Fetch a file, or the rest of it, and give where it is.

    What came is kept in `NAME.part` with the version that it is of, so that a download that broke off goes on there.

    Raises:
        ClientError: It is not there, or the bytes are not those that the server has.
    """
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        address = f"{url.rstrip('/')}/api/v1/files/{file_id}/content"
        head = _ask(session, "HEAD", address).headers
        place = target if target is not None else Path(_name_of(head) or file_id)
        if place.is_dir():
            place /= _name_of(head) or file_id
        if place.exists():
            raise ClientError(f"{place} is there already: name another place, or remove it")
        part = place.with_name(place.name + ".part")
        _fetch(session, address, part, head)
        _check(part, head)
        part.rename(place)
        _version_of(part).unlink(missing_ok=True)
        return place


def _fetch(session: requests.Session, address: str, part: Path, head: Mapping[str, str]) -> None:
    size, etag = int(head["Content-Length"]), head["ETag"]
    version = _version_of(part)
    if part.exists() and (not version.exists() or version.read_text() != etag):
        part.unlink()  # of another content
    version.write_text(etag)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tries, reached = 0, -1
    with part.open("ab") as out, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(part.stem, total=size)
        while (offset := out.tell()) < size:
            tries = tries + 1 if offset <= reached else 0
            reached = offset
            if tries >= TRIES_MAX:
                raise ClientError("the download broke off; run the same command again to go on")
            try:
                _fetch_from(session, address, out, etag, lambda: progress.update(task, completed=out.tell()))
            except requests.RequestException:
                out.flush()


def _fetch_from(session: requests.Session, address: str, out: IO[bytes], etag: str, told: Any) -> None:
    offset = out.tell()
    head = {"Range": f"bytes={offset}-", "If-Range": etag} if offset else {}
    with _ask(session, "GET", address, head, stream=True) as answer:
        if offset and answer.status_code != 206:
            raise ClientError("the file was changed meanwhile; run the same command again")
        for chunk in answer.iter_content(CHUNK_BYTES):
            out.write(chunk)
            told()


def _check(part: Path, head: Mapping[str, str]) -> None:
    found = re.search(r"sha-256=:([^:]+):", head.get("Repr-Digest", ""))
    if found is None:
        return  # the server does not know it yet
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    if digest != base64.b64decode(found[1]):
        part.unlink()
        raise ClientError("what came is not what the server has; run the same command again")


def _version_of(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _name_of(head: Mapping[str, str]) -> str | None:
    found = _NAME.search(head.get("Content-Disposition", ""))
    # A name is the uploader's: it must not lead out of this folder.
    name = re.sub(r"[/\\\x00-\x1f]", "_", unquote(found[1])) if found else ""
    return name if name.strip(". ") else None


# ---- what is noted about files


def exported(url: str, token: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of all files that the token's owner may see."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        address: str | None = f"{url.rstrip('/')}/api/v1/files?limit={PAGE_SIZE}"
        while address is not None:
            page = _ask(session, "GET", address).json()
            yield from page["results"]
            following = page["next"]
            address = None if following is None else _joined(url, following)


def bring_back(url: str, token: str, lines: Iterator[str]) -> tuple[int, list[str]]:
    """
    Give files what an export says of them: name, visibility, resource, metadata and end.

    Returns:
        How many were changed, and why others were not.
    """
    done, faults = 0, []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
                changes = {name: document[name] for name in CHANGED if name in document}
                _ask(session, "PATCH", f"{url.rstrip('/')}/api/v1/files/{document['id']}", json=changes)
                done += 1
            except (ValueError, KeyError, TypeError):
                faults.append(f"line {number}: this is no document of a file")
            except ClientError as error:
                faults.append(f"line {number}: {error}")
    return done, faults


def _joined(url: str, following: str) -> str:
    return following if following.startswith("http") else f"{url.rstrip('/')}/{following.lstrip('/')}"


def _ask(
    session: requests.Session,
    method: str,
    address: str,
    headers: Mapping[str, str] | None = None,
    *,
    stream: bool = False,
    json: Any = None,
) -> requests.Response:
    try:
        answer = session.request(
            method, address, headers=headers, stream=stream, json=json, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
    except requests.ConnectionError as error:
        if stream:
            raise
        raise ClientError(f"{address} does not answer: is the server running?") from error
    if answer.status_code < 300:
        return answer
    with answer:
        raise ClientError(_detail_of(answer, address))


def _detail_of(answer: requests.Response, address: str) -> str:
    if answer.request.method == "HEAD":
        return {
            401: "log in first: `lighterage token`",
            404: "there is no such file, or it is not yours to read",
            409: "the file may not be read yet, or not at all: look at its status",
        }.get(answer.status_code, f"{address} answered {answer.status_code}")
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{address} answered {answer.status_code}"
