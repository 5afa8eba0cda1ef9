"""Files over REST: upload, list, change, delete; each call as its source has it."""

import asyncio
import json
import unicodedata
from urllib.parse import unquote

import pytest

from tests.app.rest.conftest import post_file
from tests.support.product import http_client, open_world, sha256

CSV = b"name,price\nnorth,12\nsouth,7\n"


async def ask(caller, method, path, **options):
    async with caller.http as http:
        return await http.request(method, path, **options)


async def test_form_upload_is_stored_and_comes_back_R000_16_R000_23_R002_3(world, anna):
    """201 with an address; the same bytes under it."""
    made = await post_file(anna, CSV)
    file = await ask(anna, "GET", made.headers["location"])
    content = await ask(anna, "GET", made.json()["content"])

    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1/files/{made.json()['id']}")
    assert made.json() == file.json()
    assert (content.content, made.json()["sha256"]) == (CSV, sha256(CSV))
    assert (made.json()["content_type"], made.json()["size"]) == ("text/csv", len(CSV))


async def test_raw_body_is_a_file_too(anna):
    """What is said of it stands in the query string; the name may also come as Content-Disposition."""
    params = {"name": "a b.csv", "resource": "product", "resource_id": "7", "is_public": "true"}
    made = await ask(anna, "POST", "/api/v1/files", params=params, content=CSV, headers={"content-type": "text/csv"})
    named = await ask(
        anna,
        "POST",
        "/api/v1/files",
        content=b"x",
        headers={"content-disposition": "attachment; filename*=UTF-8''%C3%A4"},
    )

    assert made.status_code == 201
    assert [made.json()[key] for key in ("name", "resource", "resource_id", "visibility", "content_type")] == [
        "a b.csv",
        "product",
        "7",
        "public",
        "text/csv",
    ]
    assert named.json()["name"] == "ä"


async def test_raw_body_of_no_bytes_is_a_file(anna):
    """An empty file is one."""
    made = await ask(anna, "POST", "/api/v1/files?name=empty")

    assert (made.status_code, made.json()["size"]) == (201, 0)


@pytest.mark.parametrize("order", ["before", "after"])
async def test_fields_count_before_and_behind_the_file_R003_2_R003_21(world, anna, order):
    """curl sends them in the order of its arguments; a field behind the file is known only when its bytes are there."""
    fields = [
        ("resource", (None, "product")),
        ("resource_id", (None, "1")),
        ("is_public", (None, "true")),
        ("expires_at", (None, "2030-01-01T00:00:00+02:00")),
        ("metadata", (None, json.dumps({"season": "winter"}))),
        ("sha256", (None, sha256(CSV).upper())),
    ]
    file = [("file", ("my_file", CSV))]
    parts = fields + file if order == "before" else file + fields
    made = await ask(anna, "POST", "/api/v1/files", files=parts)
    (stored,) = await world.files_of(anna)

    assert made.status_code == 201, made.text
    assert (stored.resource_type, stored.resource_id, stored.visibility.value) == ("product", "1", "public")
    assert made.json()["metadata"] == {"season": "winter"}
    assert made.json()["expires_at"] == "2029-12-31T22:00:00Z"
    assert made.json()["sha256"] == sha256(CSV)
    assert (await world.usage_of(anna)).bytes_total == len(CSV)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ([("resource", (None, "product"))], ["file"]),
        ([("file", ("a", b"1")), ("file", ("b", b"2"))], ["file"]),
        ([("file", ("a" * 2000, b"1"))], ["name"]),
        ([("file", ("a", b"1")), ("expires_at", (None, "tomorrow"))], ["expires_at"]),
        ([("file", ("a", b"1")), ("expires_at", (None, "0001-01-01T00:00:00+14:00"))], ["expires_at"]),
        ([("file", ("a", b"1")), ("resource", (None, "product"))], ["resource_id"]),
        ([("visibility", (None, "all")), ("file", ("a", b"1"))], ["visibility"]),
        ([("file", ("a", b"1")), ("note", (None, "x" * 70_000))], ["note"]),
        ([(f"f{n}", (None, "x")) for n in range(10_000)], ["body"]),
    ],
)
async def test_wrong_forms_store_nothing(world, anna, parts, path):
    """422 with the field; no bytes, no record and no quota are left."""
    answer = await ask(anna, "POST", "/api/v1/files", files=parts)

    assert (answer.status_code, answer.json().get("path")) == (422, path), answer.text
    assert await world.files_of(anna) == []
    assert (await world.usage_of(anna)).bytes_total == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz--\r\n",
        b"--xyz\r\n",
        b"not a form at all",
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut',
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\nx\r\n--xyz--',
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a\x00b"\r\n\r\nx\r\n--xyz--',
    ],
)
async def test_broken_forms_store_nothing(world, anna, body):
    """Whatever is wrong with the boundaries."""
    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    answer = await ask(anna, "POST", "/api/v1/files", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")
    assert await world.files_of(anna) == []
    assert (await world.usage_of(anna)).bytes_total == 0


async def test_declared_digest_is_held_against_the_bytes(world, anna):
    """Other bytes than were meant are not kept."""
    wrong = await ask(anna, "POST", f"/api/v1/files?name=a&sha256={'0' * 64}", content=b"hello")

    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum_mismatch")
    assert await world.files_of(anna) == []


async def test_same_key_gives_the_same_file(world, anna):
    """A client that lost the answer may send again."""
    headers = {"Idempotency-Key": "k1"}
    first = await ask(anna, "POST", "/api/v1/files?name=a", content=b"hello", headers=headers)
    second = await ask(anna, "POST", "/api/v1/files?name=a", content=b"hello", headers=headers)

    assert (first.json()["id"], 201) == (second.json()["id"], second.status_code)
    assert len(await world.files_of(anna)) == 1


async def test_limits_are_told_and_kept_R000_21(world, anna):
    """413 that names the limit, whether the length is told before or found out; nothing is kept."""
    await world.limit(anna, file_size_max=10, stored_bytes_max=100, content_types=("text/*",))
    limits = await ask(anna, "GET", "/api/v1/limits")
    raw = await ask(anna, "POST", "/api/v1/files?name=a", content=b"x" * 11)
    form = await post_file(anna, b"x" * 11)
    image = await post_file(anna, b"\x89PNG\r\n\x1a\n")
    async with http_client(world.app) as http:
        guest = await http.get("/api/v1/limits")

    assert (limits.json()["tenant"]["file_size_max"], limits.json()["tenant"]["stored_bytes_max"]) == (10, 100)
    assert guest.json()["tenant"] is None
    assert guest.json()["upload_url"] == "http://test/files/"
    assert [413, 413, 415] == [raw.status_code, form.status_code, image.status_code]
    assert "10 bytes" in raw.json()["detail"]
    assert (await world.usage_of(anna)).bytes_total == 0


NAMES = [
    "../x.csv",
    "..\\..\\x.csv",
    "a\\b.csv",
    "a/b.csv",
    "%00",
    "😀.csv",
    "\u202evsc.exe",
    "dot.",
    "space ",
    "soap",
    "?#&.csv",
    "é.csv",
    unicodedata.normalize("NFD", "é.csv"),
    "_.csv",
    "?.csv",
    "\x07bell",
    "con",
    "a" * 1024,
]


async def test_any_name_is_a_safe_key_and_comes_back_R000_18_R000_19_R000_20(world, anna):
    """In a folder named after the e-mail address; no two names meet; the download has the original one."""
    made = [await ask(anna, "POST", "/api/v1/files", params={"name": name}, content=name.encode()) for name in NAMES]
    keys = [one.json()["key"] for one in made]

    assert {201} == {one.status_code for one in made}
    assert NAMES == [one.json()["name"] for one in made]
    assert len(set(keys)) == len(keys)
    for name, one, key in zip(NAMES, made, keys, strict=True):
        folder, uuid, safe = key.split("/")
        content = await ask(anna, "GET", one.json()["content"])
        assert (folder, uuid) == ("anna@example.org", one.json()["id"])
        assert safe not in ("", ".", "..")
        assert safe.isascii()
        assert len(key) <= 1024
        assert content.content == name.encode()
        assert unquote(content.headers["content-disposition"].partition("UTF-8''")[2]) == name


async def test_list_needs_a_log_in_and_shows_ones_own_R000_12_R000_14_R000_15_R003_26(world, anna, bert):
    """401 says how; another tenant's files are not there."""
    made = await post_file(anna)
    async with http_client(world.app) as http:
        guest = await http.get("/api/v1/files")
    mine, theirs = await ask(anna, "GET", "/api/v1/files"), await ask(bert, "GET", "/api/v1/files")

    assert (guest.status_code, guest.headers["www-authenticate"]) == (401, 'Bearer realm="lighterage"')
    assert [made.json()] == mine.json()["results"]
    assert theirs.json()["results"] == []


async def test_others_files_look_as_if_they_were_not_there_R000_24_R000_29_R003_32(world, anna, bert):
    """For every operation on one file: the same answer as for an id that nobody has."""
    uuid = (await post_file(anna)).json()["id"]
    unknown = "019aab1c-54e0-7c5b-b5f1-9e0c8a2f6d11"
    calls = [
        ("GET", "", {}),
        ("GET", "/content", {}),
        ("GET", "/manifest", {}),
        ("GET", "/url", {}),
        ("PATCH", "", {"json": {"name": "stolen"}}),
        ("DELETE", "", {}),
        ("POST", "/restore", {}),
        ("POST", "/query", {"json": {"sql": "SELECT * FROM S3Object"}}),
    ]
    for method, tail, options in calls:
        other = await ask(bert, method, f"/api/v1/files/{uuid}{tail}", **options)
        nothing = await ask(bert, method, f"/api/v1/files/{unknown}{tail}", **options)

        assert other.status_code == 404, (method, tail)
        assert {**other.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}
    assert (await world.file_of(anna)).name == "a.csv"


async def test_filters_change_the_set_R000_13_R003_7(anna):
    """Each by itself and all together."""
    for name, content, fields in (
        ("one.csv", CSV, {"resource": "product", "resource_id": "1", "is_public": "true"}),
        ("two.txt", b"text", {"resource": "product", "resource_id": "2"}),
        ("three.csv", CSV * 2, {"resource": "avatar", "resource_id": "1", "expires_at": "2026-12-01T00:00:00Z"}),
    ):
        assert (await post_file(anna, content, name=name, **fields)).status_code == 201
    expected = {
        "type=csv": ["one.csv", "three.csv"],
        "type=text/*": ["one.csv", "two.txt", "three.csv"],
        "type=image": [],
        "resource=product": ["one.csv", "two.txt"],
        "resource=product&resource_id=2": ["two.txt"],
        "resource_id=1": ["one.csv", "three.csv"],
        "name=two.txt": ["two.txt"],
        "search=TWO": ["two.txt"],
        "is_public=true": ["one.csv"],
        "is_public=false": ["two.txt", "three.csv"],
        "expires_before=2027-01-01T00:00:00Z": ["three.csv"],
        "size_min=30": ["three.csv"],
        "size_max=4": ["two.txt"],
        "created_before=2026-01-01T00:00:00Z": [],
        "is_public=true&type=csv&resource=product": ["one.csv"],
    }
    for query, names in expected.items():
        v1 = await ask(anna, "GET", f"/api/v1/files?order=created_at&{query}")
        numbered = await ask(anna, "GET", f"/api/files?{query}")

        assert sorted(names) == sorted(one["name"] for one in v1.json()["results"]), query
        assert sorted(names) == sorted(one["name"] for one in numbered.json()["results"]), query


@pytest.mark.parametrize("path", ["/api/v1/files", "/api/files"])
async def test_pages_by_number_R003_33(anna, path):
    """With the addresses of those next to them; one that is not there is 404, one that cannot be 422."""
    for number in range(5):
        await post_file(anna, name=f"{number}.csv")
    first = await ask(anna, "GET", f"{path}?page_size=2&search=csv")
    second = await ask(anna, "GET", first.json()["next"])
    third = await ask(anna, "GET", second.json()["next"])
    wrong = [
        await ask(anna, "GET", f"{path}?{query}")
        for query in ("page=4&page_size=2", "page=0", "page=x", "page_size=1000")
    ]
    far = await ask(anna, "GET", f"{path}?page=900000&page_size=100")

    pages = [one.json() for one in (first, second, third)]
    assert [5, 5, 5] == [page["count"] for page in pages]
    assert [2, 2, 1] == [len(page["results"]) for page in pages]
    assert (pages[0]["previous"], pages[2]["next"]) == (None, None)
    assert "search=csv" in pages[0]["next"]
    assert first.json()["results"] == (await ask(anna, "GET", second.json()["previous"])).json()["results"]
    assert [404, 422, 422, 422, 422] == [one.status_code for one in [*wrong, far]]


async def test_cursors_go_through_all_of_them(anna):
    """Each file once, and a cursor goes with its own list only."""
    for number in range(5):
        await post_file(anna, name=f"{number}.csv")
    url, seen = "/api/v1/files?limit=2&order=name", []
    while url:
        page = (await ask(anna, "GET", url)).json()
        seen += [one["name"] for one in page["results"]]
        url, last = page["next"], url
    other = await ask(anna, "GET", last.replace("order=name", "order=size"))
    both = await ask(anna, "GET", "/api/v1/files?page=1&limit=2")

    assert [f"{number}.csv" for number in range(5)] == seen
    assert (other.status_code, other.json()["code"]) == (422, "cursor_invalid")
    assert both.status_code == 422


async def test_changes_are_made_and_null_clears(world, anna):
    """Only what is named; a version that is not the present one is 409."""
    uuid = (await post_file(anna, resource="product", resource_id="1")).json()["id"]
    path = f"/api/v1/files/{uuid}"
    changed = await ask(anna, "PATCH", path, json={"name": "b.csv", "metadata": {"a": "1"}, "is_public": True})
    cleared = await ask(anna, "PATCH", path, json={"resource": None, "resource_id": None, "version": 2})
    late = await ask(anna, "PATCH", path, json={"name": "c.csv", "version": 2})
    wrong = [
        await ask(anna, "PATCH", path, json=body)
        for body in ({"name": None}, {"name": ""}, {"visibility": "all"}, {"size": 1}, {"resource": "x"}, [])
    ]

    assert (changed.json()["name"], changed.json()["metadata"], changed.json()["visibility"]) == (
        "b.csv",
        {"a": "1"},
        "public",
    )
    assert (cleared.json()["resource"], cleared.json()["name"]) == (None, "b.csv")
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert {422} == {one.status_code for one in wrong}
    assert (await world.file_of(anna)).name == "b.csv"


async def test_deleted_file_is_in_the_trash_and_comes_back_R003_31(anna):
    """Not listed, not readable; restored it is as before."""
    made = (await post_file(anna)).json()
    path = f"/api/v1/files/{made['id']}"
    deleted = await ask(anna, "DELETE", path)
    gone = [await ask(anna, "GET", one) for one in (path, f"{path}/content", f"{path}/url")]
    listed, trash = await ask(anna, "GET", "/api/v1/files"), await ask(anna, "GET", "/api/v1/files?deleted=true")
    shown = await ask(anna, "GET", f"{path}?deleted=true")
    restored = await ask(anna, "POST", f"{path}/restore")

    assert deleted.status_code == 204
    assert {404} == {one.status_code for one in gone}
    assert (listed.json()["results"], len(trash.json()["results"])) == ([], 1)
    assert shown.json()["deleted_at"] is not None
    assert restored.json()["deleted_at"] is None
    assert (await ask(anna, "GET", f"{path}/content")).status_code == 200


async def test_purged_file_is_gone_for_good(world, anna):
    """Its bytes and its room too."""
    path = f"/api/v1/files/{(await post_file(anna)).json()['id']}"
    purged = await ask(anna, "DELETE", f"{path}?purge=true")
    shown = await ask(anna, "GET", f"{path}?deleted=true")

    assert [204, 404] == [purged.status_code, shown.status_code]
    assert (await world.usage_of(anna)).bytes_total == 0


async def test_public_file_is_for_everybody_until_it_is_not_R003_30(world, anna, bert):
    """A guest and another tenant read its bytes; of its record they learn nothing."""
    made = (await post_file(anna, is_public="true")).json()
    path = f"/api/v1/files/{made['id']}"
    async with http_client(world.app) as guest:
        open_ = await guest.get(f"{path}/content")
        record = await guest.get(path)
        other = await ask(bert, "GET", f"{path}/content")
        await ask(anna, "PATCH", path, json={"is_public": False})
        closed, hidden = await guest.get(f"{path}/content"), await ask(bert, "GET", f"{path}/content")
        await ask(anna, "PATCH", path, json={"visibility": "link"})
        linked = await guest.get(f"{path}/content")
        await ask(anna, "DELETE", path)
        deleted = await guest.get(f"{path}/content")

    assert (open_.content, other.content) == (b"a,b\n1,2\n", b"a,b\n1,2\n")
    assert [401, 401, 404, 200, 404] == [one.status_code for one in (record, closed, hidden, linked, deleted)]


async def test_expired_file_is_gone_R003_29(world, anna):
    """Two seconds are two seconds."""
    made = (await post_file(anna, expires_at="2026-11-21T12:00:02Z")).json()
    before = await ask(anna, "GET", made["content"])
    world.clock.advance(seconds=3)
    after = await ask(anna, "GET", made["content"])

    assert [200, 404] == [before.status_code, after.status_code]


async def test_link_works_for_a_time_without_a_log_in_R001_36(world, anna):
    """And is refused when it was changed or its time is over."""
    made = (await post_file(anna)).json()
    url = (await ask(anna, "GET", f"/api/v1/files/{made['id']}/url?ttl=60")).json()["url"]
    async with http_client(world.app) as guest:
        good, forged = await guest.get(url), await guest.get(url[:-2] + "xx")
        world.clock.advance(seconds=61)
        late = await guest.get(url)

    assert [200, 403, 403] == [one.status_code for one in (good, forged, late)]


async def test_unfinished_uploads_are_shown_to_another_device(world, anna, bert):
    """With the address and offset to go on from."""
    path = await anna.tus.create(10)
    await anna.tus.patch(path, 0, b"hello")
    (upload,) = (await ask(anna, "GET", "/api/v1/uploads")).json()["results"]

    assert (upload["offset"], upload["length"], upload["url"]) == (5, 10, f"http://test{path}")
    assert (await ask(bert, "GET", "/api/v1/uploads")).json() == {"results": []}


async def test_metadata_record_is_whole_R002_10_R003_28(world, anna):
    """What was said of a file is told of it again, also as the numbered faces tell it."""
    made = (await post_file(anna, resource="product", resource_id="1", metadata='{"k": "v"}')).json()
    numbered = (await ask(anna, "GET", f"/api/files/{made['number']}")).json()

    assert numbered == {
        "id": made["number"],
        "uuid": made["id"],
        "name": "a.csv",
        "location": made["key"],
        "size": 8,
        "content_type": "text/csv",
        "resource": "product",
        "resource_id": "1",
        "is_public": False,
        "expires_at": None,
        "created_at": "2026-11-21T12:00:00Z",
    }


async def test_nothing_needs_graphql_R000_30(tmp_path):
    """It is one route more, which can be switched off."""
    async with open_world(tmp_path, graphql=False) as world:
        made = await post_file(world.anna)
        none = await ask(world.anna, "POST", "/graphql", json={"query": "{ __typename }"})

    assert (made.status_code, none.status_code) == (201, 404)


async def read_events(world, caller, until, **headers):
    """Read an event stream until there are so many events, then hang up."""
    received, gone = b"", asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal received
        received += message.get("body", b"")
        if received.count(b"data:") >= until:
            gone.set()

    fields = [(b"authorization", f"Bearer {caller.session.access_token}".encode())]
    fields += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/api/v1/events", "query_string": b"", "headers": fields}
    scope |= {"scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1), "http_version": "1.1"}
    await asyncio.wait_for(world.app(scope, receive, send), 5)
    return [
        dict(line.split(": ", 1) for line in event.splitlines())
        for event in received.decode().split("\n\n")
        if "data" in event
    ]


async def test_events_continue_behind_the_last_one_seen_R002_51(world, anna, bert):
    """Nothing is missed between two connections, and nothing of another tenant is heard."""
    await post_file(anna, name="one")
    watching = asyncio.ensure_future(read_events(world, anna, 1))
    await asyncio.sleep(0.1)
    await post_file(bert, name="other")
    await post_file(anna, name="two")
    (seen,) = await watching
    await post_file(anna, name="three")
    await post_file(anna, name="four")
    missed = await read_events(world, anna, 2, last_event_id=seen["id"])

    assert (seen["event"], json.loads(seen["data"])["file"]["name"]) == ("file.created", "two")
    assert ["three", "four"] == [json.loads(event["data"])["file"]["name"] for event in missed]


async def test_events_after_a_false_cursor_are_refused(anna):
    """With the status of the fault, not in the midst of a stream."""
    answer = await ask(anna, "GET", "/api/v1/events?after=nonsense")

    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
