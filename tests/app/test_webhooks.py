"""Webhooks: told what happens to files, in order, signed, again and again until they heard it."""

import base64
import hashlib
import hmac
import json

import pytest

from domain.webhook import RETRY_AFTER, DeliveryFailed
from services.delivering import sign
from tests.support.product import http_client, open_world

HOOKS = "/api/v1/webhooks"
URL = "https://example.org/hooks"


class FakeCourier:
    """Keeps what it is to send; fails while it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str], bytes]] = []
        self.is_down = False

    async def post(self, url, headers, body):
        if self.is_down:
            raise DeliveryFailed("the answer was 500")
        self.sent.append((url, headers, body))

    @property
    def told(self) -> list[tuple[str, str | None]]:
        read = [json.loads(body) for _, _, body in self.sent]
        return [(one["type"], one["data"].get("name")) for one in read]


@pytest.fixture
def courier():
    return FakeCourier()


@pytest.fixture
async def world(tmp_path, courier):
    async with open_world(tmp_path, courier=courier) as opened:
        yield opened


async def create(caller, **given):
    async with caller.http as http:
        return await http.post(HOOKS, json={"url": URL} | given)


async def ask(caller, method, path, **given):
    async with caller.http as http:
        return await http.request(method, f"{HOOKS}{path}", json=given if method != "GET" else None)


async def deliver(world) -> None:
    while await world.product.hooks.delivery.run_once():
        pass


def test_signature_is_that_of_the_standard():
    """The example of Standard Webhooks' own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', secret=secret)

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == made.headers["webhook-signature"]


async def test_finished_upload_is_told_with_a_signature_that_holds(world, anna, courier):
    made = (await create(anna)).json()
    await anna.upload(b"hello", name="größe.txt")
    await deliver(world)
    file = await world.file_of(anna)
    ((url, headers, body),) = courier.sent
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(made["secret"].removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

    assert (URL, f"v1,{wanted}") == (url, headers["webhook-signature"])
    told = json.loads(body)
    assert ("file.completed", "größe.txt", 5, "ready") == (
        told["type"],
        *(told["data"][name] for name in ("name", "size", "status")),
    )
    assert (file.id, file.sha256) == (told["data"]["id"], told["data"]["sha256"])


async def test_everything_is_told_in_order_and_once(world, anna, courier):
    await create(anna)
    for number in range(3):
        await anna.upload(b"x", name=str(number))
    file = (await world.files_of(anna))[0]
    await world.product.services.files.delete(anna.principal, [file.id])
    await deliver(world)
    await deliver(world)

    completed = [("file.completed", name) for name in ("0", "1", "2")]
    assert [*completed, ("file.deleted", "0")] == courier.told


async def test_only_what_is_wanted_is_told(world, anna, courier):
    """What was passed over is not told later."""
    await create(anna, events=["file.deleted"])
    await anna.upload(b"x", name="a")
    await deliver(world)
    await world.product.services.files.delete(anna.principal, [(await world.file_of(anna)).id])
    await deliver(world)

    assert [("file.deleted", "a")] == courier.told


async def test_what_failed_is_told_again_before_what_comes_behind(world, anna, courier):
    """With the same id, after growing rests."""
    made = (await create(anna)).json()
    courier.is_down = True
    await anna.upload(b"x", name="a")
    await anna.upload(b"x", name="b")
    rests = []
    for rest in RETRY_AFTER[:3]:
        await deliver(world)
        seen = (await ask(anna, "GET", f"/{made['id']}")).json()
        rests.append(seen["failures"])
        world.clock.advance(seconds=rest.total_seconds() - 1)
        await deliver(world)
        assert seen == (await ask(anna, "GET", f"/{made['id']}")).json()
        world.clock.advance(seconds=1)
    courier.is_down = False
    await deliver(world)

    assert ([1, 2, 3], "the answer was 500") == (rests, seen["error"])
    assert [("file.completed", "a"), ("file.completed", "b")] == courier.told
    after = (await ask(anna, "GET", f"/{made['id']}")).json()
    assert (0, None, True) == (after["failures"], after["error"], after["enabled"])


async def test_webhook_that_never_answers_is_switched_off_and_loses_nothing(world, anna, courier):
    made = (await create(anna)).json()
    courier.is_down = True
    await anna.upload(b"x", name="a")
    for rest in RETRY_AFTER:
        await deliver(world)
        world.clock.advance(seconds=rest.total_seconds())
    await deliver(world)
    service = world.product.services.webhooks
    off = await service.get(anna.principal, made["id"])
    courier.is_down = False
    world.clock.advance(seconds=10)
    await deliver(world)
    assert (False, []) == (off.is_on, courier.told)
    await service.change(anna.principal, made["id"], is_on=True)
    await deliver(world)

    assert [("file.completed", "a")] == courier.told


async def test_replay_from_a_cursor(world, anna, courier):
    """A customer that lost its database hears everything again, or what came behind an event."""
    await anna.upload(b"x", name="before")
    made = (await create(anna)).json()
    await anna.upload(b"x", name="after")
    await deliver(world)
    async with anna.http as http:
        assert 200 == (await http.post(f"{HOOKS}/{made['id']}/replay", json={})).status_code
    await deliver(world)

    assert [("file.completed", name) for name in ("after", "before", "after")] == courier.told
    ids = [headers["webhook-id"] for _, headers, _ in courier.sent]
    assert ids[0] == ids[2]


async def test_cursor_of_another_list_is_refused(world, anna, bert):
    made = (await create(anna)).json()
    answer = await ask(anna, "POST", f"/{made['id']}/replay", after="nonsense")

    assert (422, "cursor_invalid") == (answer.status_code, answer.json()["code"])


async def test_crash_in_the_middle_tells_again_and_not_never(world, anna, courier, monkeypatch):
    """Killed between the request and its record: after the lease it is told again, with the same id."""
    await create(anna)
    await anna.upload(b"x", name="a")
    delivery = world.product.hooks.delivery
    save = delivery._save
    saved = []

    async def dying(webhook):
        if saved:
            raise RuntimeError("killed")
        saved.append(webhook)
        return await save(webhook)

    monkeypatch.setattr(delivery, "_save", dying)
    with pytest.raises(RuntimeError):
        await delivery.run_once()
    monkeypatch.setattr(delivery, "_save", save)
    await deliver(world)
    held = len(courier.sent)
    world.clock.advance(seconds=61)
    await deliver(world)

    assert (1, 2) == (held, len(courier.sent))
    assert 1 == len({headers["webhook-id"] for _, headers, _ in courier.sent})


async def test_webhooks_are_the_tenants_admins(world, anna, bert):
    """A thing of another tenant and a missing thing look the same; a guest is asked to log in."""
    made = (await create(anna)).json()
    path = f"/{made['id']}"
    async with http_client(world.app) as guest:
        assert 401 == (await guest.get(HOOKS)).status_code

    assert [] == (await ask(bert, "GET", "")).json()["results"]
    for method, where, given in (
        ("GET", path, {}),
        ("PATCH", path, {"enabled": False}),
        ("POST", f"{path}/replay", {}),
    ):
        assert 404 == (await ask(bert, method, where, **given)).status_code
    assert 404 == (await ask(bert, "DELETE", path)).status_code
    assert [made["id"]] == [one["id"] for one in (await ask(anna, "GET", "")).json()["results"]]
    assert "secret" not in (await ask(anna, "GET", path)).json()
    assert 204 == (await ask(anna, "DELETE", path)).status_code
    assert 404 == (await ask(anna, "GET", path)).status_code


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://example.org/"},
        {"url": "ftp://example.org/"},
        {"url": "https://"},
        {"url": "https://user:pw@example.org/"},
        {"url": "https://example.org/\r\nX: y"},
        {"url": "https://example.org:99999/"},
        {"events": ["file.eaten"]},
        {"secret": "short"},
        {"secret": "whsec_AAAA"},
    ],
)
async def test_what_cannot_be_right_is_refused(anna, given):
    assert 422 == (await create(anna, **given)).status_code


async def test_tenant_has_a_bounded_number(anna):
    for _ in range(20):
        assert 201 == (await create(anna)).status_code

    assert 422 == (await create(anna)).status_code
