"""Protocol cases as data: a rule's own words, and requests with the answers it wants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.principal import Principal
from tests.support.upload_client import DISCONNECT, UploadClient, part
from tests.support.upload_service import ANNA, FakeUploadService
from upload.endpoint import UploadEndpoint
from upload.protocol.config import Config


@dataclass(frozen=True)
class Step:
    """
    One request and what its answer must be.

    Attributes:
        request: Method and target; `{a}` stands for the path of the upload that a step with `saves="a"` created.
        headers: Values may hold such names too.
        chunks: The body as chunks, without Content-Length; used in place of `body`.
        cut: The client goes away before the body's end, so that nobody is answered.
        status: None where nobody is answered.
        fields: What header fields must be: a regular expression for the whole value, or None for absent.
        members: What members of the problem document must be.
    """

    request: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    status: int | None = 204
    chunks: tuple[bytes, ...] | None = None
    cut: bool = False
    fields: Mapping[str, str | None] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    saves: str | None = None
    principal: Principal | None = ANNA


@dataclass(frozen=True)
class Case:
    """
    A rule and how it shows.

    Attributes:
        rule: Its words, or what we hold beyond them.
        stored: Bytes that the named uploads must have in the end.
    """

    rule: str
    steps: tuple[Step, ...]
    config: Config = field(default_factory=Config)
    length_max: int = 2**63 - 1
    stored: Mapping[str, bytes] = field(default_factory=dict)


async def check_case(case: Case) -> None:
    """Send a case's requests in turn and hold every answer against what the rule wants."""
    service = FakeUploadService(length_max=case.length_max)
    client = UploadClient(UploadEndpoint(service, case.config))
    names: dict[str, str] = {}
    for step in case.steps:
        await _check_step(client, step, names)
    for name, content in case.stored.items():
        upload_id = names[name].rpartition("/")[2]
        assert service.stored[upload_id] == content  # type: ignore[index]


async def _check_step(client: UploadClient, step: Step, names: dict[str, str]) -> None:
    client.principal = step.principal
    method, target = _fill(step.request, names).split(" ")
    headers = [(name, _fill(value, names)) for name, value in step.headers.items()]
    chunks = (step.body or b"",) if step.chunks is None else step.chunks
    if step.chunks is not None:
        headers.append(("Transfer-Encoding", "chunked"))
    elif step.body is not None:
        headers.append(("Content-Length", str(len(step.body) + step.cut)))
    wire, task = client.open(method, target, headers)
    wire.push(
        *(part(chunk, more=step.cut or more > 1) for chunk, more in zip(chunks, range(len(chunks), 0, -1), strict=True))
    )
    if step.cut:
        wire.push(DISCONNECT)
    await task
    if step.status is None:
        assert wire.sent == []
        return
    answer = wire.response
    assert answer.status == step.status, answer.body
    for name, pattern in step.fields.items():
        value = answer.headers.get(name.lower())
        if pattern is None:
            assert value is None, name
        else:
            assert value is not None, name
            assert re.fullmatch(_fill(pattern, names), value), (name, value)
    for name, member in step.members.items():
        assert answer.problem[name] == member
    if step.saves is not None:
        names[step.saves] = answer.headers["location"]


def _fill(text: str, names: Mapping[str, str]) -> str:
    for name, path in names.items():
        text = text.replace("{" + name + "}", path)
    return text
