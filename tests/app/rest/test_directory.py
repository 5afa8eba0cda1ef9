"""The directory: everybody in it, avatars that are pictures and nothing else, and its table in DynamoDB."""

import io
import re

import boto3
import pytest

from lighterage.directory import _avatar_url
from lighterage.settings import Settings
from tests.support.product import http_client, open_world

PIL = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'lighterage[images]'")
from moto import mock_aws  # noqa: E402

pytestmark = pytest.mark.slow  # pictures are read in processes of their own


def picture(*, size=(40, 30), kind="JPEG", place=b"Exif\x00\x00somewhere"):
    content = io.BytesIO()
    options = {"exif": place} if kind == "JPEG" else {}
    PIL.new("RGB", size, "red").save(content, kind, **options)
    return content.getvalue()


def form(avatar=None, **fields):
    values = {"name": "Ada", "email": "Ada@Example.org"} | fields
    parts = [(key, (None, value)) for key, value in values.items() if value is not None]
    return [*parts, ("avatar", ("me.jpg", picture() if avatar is None else avatar))]


async def test_user_with_an_avatar_R004_1_R004_2_R004_3_R004_4_R004_5(tmp_path):
    """201 the same object that the list has; its address is absolute, and the picture there is made anew."""
    async with open_world(tmp_path, open_users=True) as world, http_client(world.app) as http:
        empty = await http.get("/users")
        made = await http.post("/user", files=form())
        users = await http.get("/users")
        url = made.json()["avatar_url"]
        avatar = await http.get(url)
        none = await http.get("/avatars/" + "0" * 32 + ".webp")
        wrong = await http.get("/avatars/..%2fx")

    assert (empty.status_code, empty.json()) == (200, [])
    assert (made.status_code, sorted(made.json())) == (201, ["avatar_url", "email", "name"])
    assert users.json() == [made.json()]
    assert made.json()["email"] == "ada@example.org"
    assert re.fullmatch(r"http://test/avatars/[0-9a-f]{32}\.webp", url)
    assert (avatar.status_code, avatar.headers["content-type"]) == (200, "image/webp")
    with PIL.open(io.BytesIO(avatar.content)) as image:
        assert (image.size, image.format, dict(image.getexif())) == ((40, 30), "WEBP", {})
    assert b"somewhere" not in avatar.content
    assert [404, 404] == [none.status_code, wrong.status_code]


@pytest.mark.parametrize(
    ("parts", "status", "path"),
    [
        (form(name=None), 422, ["name"]),
        (form(email=None), 422, ["email"]),
        (form(email="no address"), 422, ["email"]),
        (form()[:-1], 422, ["avatar"]),
        (form(b"not a picture"), 415, None),
        (form(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, None),
        (form(b"\x89PNG\r\n\x1a\n" + b"x" * 100), 415, None),
        (form(picture(size=(4000, 4000), kind="PNG")), 415, None),
        (form(b"\x00" * (11 * 2**20)), 413, None),
    ],
    ids=["name", "email", "address", "avatar", "text", "svg", "torn", "bomb", "large"],
)
async def test_what_is_no_user_is_refused_R004_16(tmp_path, parts, status, path):
    """As a problem document; nobody is added."""
    async with open_world(tmp_path, open_users=True, image_pixels_max=10_000) as world, http_client(world.app) as http:
        answer = await http.post("/user", files=parts)
        users = await http.get("/users")

    assert (answer.status_code, answer.json().get("path")) == (status, path), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert users.json() == []


async def test_address_is_there_once(tmp_path):
    """409, and the first one stays."""
    async with open_world(tmp_path, open_users=True) as world, http_client(world.app) as http:
        await http.post("/user", files=form())
        again = await http.post("/user", files=form(name="Eve"))
        users = await http.get("/users")

    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert ["Ada"] == [one["name"] for one in users.json()]


async def test_closed_directory_is_the_tenants_own(world, anna, bert):
    """401 for guests; nobody sees another tenant's people."""
    async with http_client(world.app) as guest:
        refused = [(await guest.get("/users")).status_code, (await guest.post("/user", files=form())).status_code]
    async with anna.http as http:
        made = await http.post("/user", files=form())
        mine = await http.get("/users")
    async with bert.http as http:
        theirs = await http.get("/users")

    assert refused == [401, 401]
    assert (made.status_code, len(mine.json()), theirs.json()) == (201, 1, [])


async def test_items_in_dynamodb_are_three_texts_R004_12_R004_13_R004_17(tmp_path, monkeypatch):
    """Exactly `name`, `email` and `avatar_url`, whatever else the server knows."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    settings = {"open_users": True, "users_table": "users", "s3_region": "eu-central-1"}
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="eu-central-1")
        dynamodb.create_table(
            TableName="users",
            KeySchema=[{"AttributeName": "email", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "email", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        async with open_world(tmp_path, **settings) as world, http_client(world.app) as http:
            made = await http.post("/user", files=form())
            again = await http.post("/user", files=form())
            users = await http.get("/users")
            items = dynamodb.scan(TableName="users")["Items"]
            dynamodb.delete_table(TableName="users")
            away = await http.get("/users")
        dynamodb.close()

    assert [201, 409] == [made.status_code, again.status_code]
    assert users.json() == [made.json()]
    assert items == [{name: {"S": value} for name, value in made.json().items()}]
    assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
    assert int(away.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://here/avatars/{name}"),
        ({"s3_bucket": "b", "s3_region": "eu-west-1"}, "https://b.s3.eu-west-1.amazonaws.com/{key}"),
        ({"s3_bucket": "b", "s3_prefix": "x/"}, "https://b.s3.us-east-1.amazonaws.com/x/{key}"),
        ({"s3_bucket": "b", "s3_endpoint": "http://s3:9000"}, "http://here/avatars/{name}"),
        ({"s3_bucket": "b", "avatar_url": "https://cdn/{bucket}/{key}"}, "https://cdn/b/{key}"),
    ],
)
def test_avatar_addresses_R004_5(settings, url):
    """S3's own form for a bucket at AWS, any other by a template, and ours where nothing else is known."""
    assert url == _avatar_url(Settings(**settings), "http://here")
