"""The calls of the multi-tenant source, as its README has them."""

from tests.app.rest.conftest import post_file
from tests.support.product import http_client


async def ask(caller, method, path, **options):
    async with caller.http as http:
        return await http.request(method, path, **options)


async def test_files_of_a_resource_R003_21_R003_22_R003_23_R003_24_R003_25_R003_26(world, anna, bert):
    """Two files for two resources; whole numbers as ids; what has no files is an empty page."""
    first = await post_file(anna, b"x", name="my_file", path="/api/upload", resource="product", resource_id="1")
    second = await post_file(anna, b"x", name="my_file", path="/api/upload", resource="avatar", resource_id="1")
    await post_file(bert, b"y", name="my_file", path="/api/upload", resource="product", resource_id="1")
    product, avatar = [(await ask(anna, "GET", f"/api/files/{kind}/1")).json() for kind in ("product", "avatar")]
    empty = [await ask(anna, "GET", f"/api/files/{one}") for one in ("product/10", "product/2", "7/8")]
    one = await ask(anna, "GET", "/api/files/2")

    assert (first.status_code, first.json()["id"], second.json()["id"]) == (201, 1, 2)
    assert [first.json()] == product["results"]
    assert [second.json()] == avatar["results"]
    assert [(200, {"count": 0, "next": None, "previous": None, "results": []})] * 3 == [
        (page.status_code, page.json()) for page in empty
    ]
    assert second.json() == one.json()
    assert len((await ask(bert, "GET", "/api/files/product/1")).json()["results"]) == 1


async def test_deletion_R003_5(anna, bert):
    """204, then 404; of another tenant always 404."""
    await post_file(anna, path="/api/upload")
    other = await ask(bert, "DELETE", "/api/files/1")
    deleted = await ask(anna, "DELETE", "/api/files/1")
    gone = [
        await ask(anna, method, path)
        for method, path in (("GET", "/api/files/1"), ("GET", "/api/files/1/content"), ("DELETE", "/api/files/1"))
    ]

    assert [404, 204] == [other.status_code, deleted.status_code]
    assert [404, 404, 404] == [one.status_code for one in gone]


async def test_content_by_number_R003_4(anna):
    """Metadata and bytes have addresses of their own."""
    await post_file(anna, b"hello", name="my_file", path="/api/upload")
    content = await ask(anna, "GET", "/api/files/1/content?download=1", headers={"range": "bytes=1-3"})

    assert (content.status_code, content.content) == (206, b"ell")
    assert 'filename="my_file"' in content.headers["content-disposition"]


async def test_upload_takes_forms_only_R003_3(world, anna):
    """And with or without a last slash, never by a redirect."""
    raw = await ask(anna, "POST", "/api/upload", content=b"x")
    slash = await post_file(anna, path="/api/upload/")
    async with http_client(world.app) as http:
        guest = await http.post("/api/upload", files={"file": ("a", b"x")})

    assert [422, 201, 401] == [one.status_code for one in (raw, slash, guest)]


async def test_huge_numbers_are_nobodys(anna):
    """No database is asked for what it cannot keep."""
    assert (await ask(anna, "GET", f"/api/files/{'9' * 40}")).status_code == 404
