"""What comes over sockets to the REST face and is meant badly: the server answers, and stays as small as it was."""

import http.client
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.product_server import EMAIL, PASSWORD, serving

BOUNDARY = "xyz"
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
TAIL = b"\r\n--xyz--\r\n"
MIB = 2**20
LARGE = 300 * MIB
GROWTH_MAX = 40 * MIB
IDLE_SECONDS = 2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hostile")
    with serving(folder / "data", LIGHTERAGE_FSYNC="false", LIGHTERAGE_BODY_IDLE_SECONDS=str(IDLE_SECONDS)) as running:
        yield running


@pytest.fixture(scope="module")
def token(server):
    status, answer = ask(server, "POST", "/api/v1/login", orjson.dumps({"email": EMAIL, "password": PASSWORD}))
    assert status == 200
    return answer["access_token"]


def ask(server, method, path, body=None, **headers):
    address = urlsplit(server.url)
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=60)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read() or b"{}")


def pieces(length):
    yield HEAD
    for _ in range(length // MIB):
        yield bytes(MIB)
    yield TAIL


def upload(server, token, body, **headers):
    fields = {"Authorization": f"Bearer {token}", "Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return ask(server, "POST", "/api/v1/files", body, **fields | headers)


@pytest.mark.parametrize("is_told", [True, False], ids=["length", "chunked"])
def test_large_form_costs_no_memory_R002_4_R000_22(server, token, is_told):
    """Whether its length is told or not; the server holds a few chunks, and no file of its own."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # hashing the password took more than anything else
    before = server.memory_bytes()
    told = {"Content_Length": str(len(HEAD) + LARGE + len(TAIL))} if is_told else {}
    status, file = upload(server, token, pieces(LARGE), **told)

    assert (status, file["size"]) == (201, LARGE)
    assert server.memory_bytes("VmHWM") - before < GROWTH_MAX


def test_form_that_is_cut_leaves_nothing(server, token):
    """Nobody can go on with it, so nothing is kept."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(_request(token, length=10 * MIB) + HEAD + bytes(MIB))
    _, limits = ask(server, "GET", "/api/v1/limits", Authorization=f"Bearer {token}")
    for _ in range(100):
        if limits["tenant"]["bytes_in_flight"] == 0:
            break
        time.sleep(0.05)
        _, limits = ask(server, "GET", "/api/v1/limits", Authorization=f"Bearer {token}")

    assert limits["tenant"]["bytes_in_flight"] == 0


def test_form_that_stops_coming_is_408(server, token):
    """After the idle time, as a problem document; and the connection closes."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=IDLE_SECONDS * 5) as connection:
        connection.sendall(_request(token, length=1000) + HEAD)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_idle"' in answer


def test_refused_upload_is_told_before_its_bytes(server):
    """A stranger's gigabyte is not read; they hear 401 while they are still sending."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(_request("wrong", length=2**30) + HEAD + bytes(MIB // 4))
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("".join(f"X-{n}: {'v' * 100}\r\n" for n in range(2000)), 431),
        (f"Cookie: {'a=b; ' * 40_000}\r\n", 431),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: -1\r\n", 400),
    ],
    ids=["headers", "cookies", "two lengths", "negative length"],
)
def test_floods_of_fields_are_refused(server, fields, status):
    """Before they are all kept; the server answers the next one as ever."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have had enough
            connection.sendall(f"POST /api/v1/login HTTP/1.1\r\nHost: test\r\n{fields}\r\n".encode())
        answer = connection.recv(65536)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert ask(server, "GET", "/healthz")[0] == 200


def _request(token, *, length):
    return (
        f"POST /api/v1/files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
