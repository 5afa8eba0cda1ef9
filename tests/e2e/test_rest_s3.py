"""Files and avatars in a bucket, put there over REST."""

import io
import secrets
import urllib.request

import boto3
import pytest

from domain.clock import SystemClock
from tests.app.rest.conftest import post_file
from tests.support.product import http_client, open_world
from tests.support.s3 import ACCESS_KEY, SECRET_KEY

pytestmark = pytest.mark.slow

CSV = b"name,price\nnorth,12\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def bucket(s3_server):
    name = s3_server.make_bucket(f"bucket-{secrets.token_hex(6)}")
    return {
        "s3_endpoint": s3_server.endpoint,
        "s3_bucket": name,
        "s3_access_key_id": ACCESS_KEY,
        "s3_secret_access_key": SECRET_KEY,
    }


def client_of(server):
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)


async def test_form_lands_in_the_folder_of_its_sender_R000_4_R000_13_R000_17_R000_18(tmp_path, bucket, s3_server):
    """The object is there under the key that was told, with the same bytes."""
    async with open_world(tmp_path, clock=SystemClock(), **bucket) as world:
        made = await post_file(world.anna, CSV, resource="product", resource_id="1")
        async with world.anna.http as http:
            content = await http.get(made.json()["content"], headers={"range": "bytes=0-3"})
    client = client_of(s3_server)
    found = client.get_object(Bucket=bucket["s3_bucket"], Key=made.json()["key"])
    with found["Body"] as stored:
        assert stored.read() == CSV
    client.close()

    assert made.json()["key"].startswith("anna@example.org/")
    assert (content.status_code, content.content) == (206, b"name")


async def test_download_goes_straight_to_the_store_where_that_is_set_R001_36(tmp_path, bucket):
    """By an address that the store itself checks; the name and the type are ours, and nothing of it is kept."""
    settings = bucket | {"downloads": "redirect"}
    async with open_world(tmp_path, clock=SystemClock(), **settings) as world:
        made = (await post_file(world.anna, CSV, name="sales ä.csv")).json()
        async with world.anna.http as http:
            sent = await http.get(made["content"])
            head = await http.head(made["content"])
        async with world.bert.http as http:
            other = await http.get(made["content"])
    with urllib.request.urlopen(sent.headers["location"]) as answer:
        content, name = answer.read(), answer.headers["content-disposition"]

    assert (sent.status_code, sent.headers["cache-control"]) == (307, "no-store")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(CSV)))
    assert other.status_code == 404
    assert content == CSV
    assert name.endswith("filename*=UTF-8''sales%20%C3%A4.csv")


async def test_avatar_lands_in_the_bucket_R004_14_R004_15(tmp_path, bucket, s3_server):
    """As a picture, in a folder that a bucket's policy can name."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'lighterage[images]'")
    picture = io.BytesIO()
    image.new("RGB", (40, 30), "red").save(picture, "PNG")
    settings = bucket | {"open_users": True, "avatar_url": "https://{bucket}.s3.{region}.amazonaws.com/{key}"}
    async with open_world(tmp_path, clock=SystemClock(), **settings) as world, http_client(world.app) as http:
        parts = [
            ("name", (None, "Ada")),
            ("email", (None, "ada@example.org")),
            ("avatar", ("a.png", picture.getvalue())),
        ]
        url = (await http.post("/user", files=parts)).json()["avatar_url"]
    base = f"https://{bucket['s3_bucket']}.s3.us-east-1.amazonaws.com/"
    client = client_of(s3_server)
    head = client.head_object(Bucket=bucket["s3_bucket"], Key=url.removeprefix(base))
    client.close()

    assert url.startswith(f"{base}avatars/")
    assert head["ContentType"] == "image/webp"
