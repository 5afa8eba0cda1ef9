"""The endpoint over the real services, SQLite and a directory: one session from log-in to the event of its file."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.passwords import PasswordHasher
from lighterage.assembly import Product, build_app, open_product
from lighterage.settings import Settings
from tests.support.graphql_client import Client, SocketClient, events_of, open_socket, serve
from tests.support.mail import letters_in, token_in

PASSWORD = "a password of anna's"
CONTENT = b"name,points\nanna,1\nben,2\n"

CREATE = (
    "mutation ($input: CreateUploadInput!) { createUpload(input: $input) {"
    " upload { id url headers { name value } } userErrors { code } } }"
)
EVENTS = (
    "subscription ($after: String) { fileEvents(after: $after) { cursor action file { id name } actor { username } } }"
)


@asynccontextmanager
async def opened(data_dir: Path, *, with_sql: bool = False) -> AsyncGenerator[Product, None]:
    settings = Settings(data_dir=data_dir, fsync=False, free_bytes_min=0, query_threads=1)
    passwords = PasswordHasher(memory_kib=8, rounds=1)
    async with open_product(settings, address="http://localhost", passwords=passwords, with_sql=with_sql) as product:
        for name in ("anna", "ben", "mallory"):
            await product.services.accounts.save_user(name, PASSWORD)
        yield product


@pytest.fixture
async def product(tmp_path: Path) -> AsyncGenerator[Product, None]:
    async with opened(tmp_path) as product:
        yield product


@dataclass
class Person:
    """Somebody logged in, and what they can do."""

    client: Client
    http: httpx2.AsyncClient
    token: str

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        return await self.client.data(query, who=self.token, **variables)

    async def upload(self, name: str, content: bytes, **more: Any) -> dict[str, Any]:
        """Begin by GraphQL, send the bytes by tus; gives the upload as GraphQL told it."""
        made = await self.data(CREATE, input={"name": name, "size": len(content), **more})
        upload: dict[str, Any] = made["createUpload"]["upload"]
        headers = {one["name"]: one["value"] for one in upload["headers"]}
        headers |= {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        sent = await self.http.patch(upload["url"], content=content, headers=headers)
        assert sent.status_code == 204, sent.text
        return upload


async def mutation(ask: Callable[..., Awaitable[Any]], name: str, selection: str, /, **input: Any) -> Any:
    """Do one mutation; gives its payload, with `userErrors`."""
    declared = f"$input: {name[0].upper()}{name[1:]}Input!"
    text = f"mutation ({declared}) {{ {name}(input: $input) {{ {selection} userErrors {{ path code }} }} }}"
    return (await ask(text, input=input))[name]


async def log_in(product: Product, name: str) -> Person:
    app: Any = build_app(product)
    client = Client(app)
    query = "mutation ($input: LogInInput!) { logIn(input: $input) { session { accessToken } userErrors { code } } }"
    answer = await client.data(query, input={"email": name, "password": PASSWORD})
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost")
    return Person(client, http, answer["logIn"]["session"]["accessToken"])


async def test_a_file_from_log_in_to_download(product: Product) -> None:
    """003: the main job, through one endpoint and the address it gives."""
    anna = await log_in(product, "anna")

    upload = await anna.upload("people.csv", CONTENT, metadata=[{"key": "k", "value": "v"}])
    query = (
        "query ($id: ID!) { upload(id: $id) { status offset file { id } } files { totalCount nodes {"
        " id name size sha256 status contentType metadata { key value } uploadedBy { username } tenant { id }"
        " downloadUrl } } tenant { id usage { fileCount bytesStored bytesInFlight } } }"
    )
    data = await anna.data(query, id=upload["id"])

    [found] = data["files"]["nodes"]
    assert data["upload"] == {"status": "COMPLETED", "offset": len(CONTENT), "file": {"id": found["id"]}}
    assert (found["name"], found["size"], found["status"], found["contentType"]) == (
        "people.csv",
        len(CONTENT),
        "READY",
        "text/csv",
    )
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (found["uploadedBy"], found["metadata"]) == ({"username": "anna"}, [{"key": "k", "value": "v"}])
    assert found["tenant"]["id"] == data["tenant"]["id"]
    assert data["tenant"]["usage"] == {"fileCount": 1, "bytesStored": len(CONTENT), "bytesInFlight": 0}
    assert (await anna.http.get(found["downloadUrl"])).content == CONTENT


async def test_tenants_see_nothing_of_each_other(product: Product) -> None:
    """Not in a list, not by id, not in a change; and what is refused has changed nothing."""
    anna, mallory = await log_in(product, "anna"), await log_in(product, "mallory")
    upload = await anna.upload("people.csv", CONTENT, visibility="TENANT")
    [found] = (await anna.data("{ files { nodes { id } } tenant { id } viewer { id } }"))["files"]["nodes"]
    ids = await anna.data("{ tenant { id } viewer { id } }")

    theirs = await mallory.data("{ files { totalCount nodes { id } } uploads(status: [COMPLETED]) { id } }")
    nodes = await mallory.data(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        ids=[found["id"], upload["id"], ids["tenant"]["id"], ids["viewer"]["id"]],
    )
    query = (
        "mutation ($id: ID!) { deleteFiles(input: {fileIds: [$id]}) { files { id } userErrors { path code } }"
        ' updateFile(input: {fileId: $id, name: "x"}) { userErrors { path code } } }'
    )
    changed = await mallory.data(query, id=found["id"])

    assert theirs == {"files": {"totalCount": 0, "nodes": []}, "uploads": []}
    assert nodes == {"nodes": [None] * 4}
    assert changed["deleteFiles"] == {"files": [], "userErrors": [{"path": ["fileIds", "0"], "code": "NOT_FOUND"}]}
    assert changed["updateFile"] == {"userErrors": [{"path": ["fileId"], "code": "NOT_FOUND"}]}
    assert (await anna.data("{ files { nodes { name } } }"))["files"]["nodes"] == [{"name": "people.csv"}]


@pytest.mark.slow
async def test_a_client_that_was_away_misses_nothing(product: Product) -> None:
    """002.37: the arrival comes while it listens; what happened after that, when it comes back with the cursor."""
    anna = await log_in(product, "anna")
    async with serve(build_app(product)) as address:  # type: ignore[arg-type]
        async with open_socket(address) as socket:
            await listen(socket, anna)
            await anna.upload("people.csv", CONTENT)
            arrival = (await socket.receive())["payload"]["data"]["fileEvents"]
        changes = await change_twice(anna, arrival["file"]["id"])
        async with open_socket(address) as socket:
            await socket.log_in(anna.token)
            await socket.subscribe(EVENTS, after=arrival["cursor"])
            missed = [(await socket.receive())["payload"]["data"]["fileEvents"] for _ in range(2)]

    assert (arrival["action"], arrival["actor"]) == ("CREATED", {"username": "anna"})
    assert changes == [
        {"file": {"name": "b.csv"}, "userErrors": []},
        {"file": None, "userErrors": [{"code": "CONFLICT"}]},
    ]
    assert [one["action"] for one in missed] == ["UPDATED", "DELETED"]


async def listen(socket: SocketClient, person: Person) -> None:
    """Begin to listen; the answer to a second question says that the first was taken up."""
    await socket.log_in(person.token)
    await socket.subscribe(EVENTS)
    await socket.subscribe("{ files { totalCount } }", id="2")
    assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def change_twice(person: Person, file_id: str) -> list[Any]:
    """Rename a file, try it again with the old version, and delete it."""
    query = "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { file { name } userErrors { code } } }"
    delete = "mutation ($ids: [ID!]!) { deleteFiles(input: {fileIds: $ids}) { files { id } } }"
    version = (await person.data("query ($id: ID!) { file(id: $id) { version } }", id=file_id))["file"]["version"]
    inputs = [{"fileId": file_id, "ifVersion": version, "name": name} for name in ("b.csv", "c.csv")]
    answers = [(await person.data(query, input=one))["updateFile"] for one in inputs]
    await person.data(delete, ids=[file_id])
    return answers


async def test_a_transfer_is_dropped_at_any_time(product: Product) -> None:
    """Before its end its room is free again; after it, the file is in the trash; a second time there is nothing."""
    anna = await log_in(product, "anna")
    query = "mutation ($id: ID!) { abortUpload(input: {uploadId: $id}) { upload { status } userErrors { path code } } }"
    open_one = await anna.data(CREATE, input={"name": "a.csv", "size": 5})
    finished = await anna.upload("people.csv", CONTENT)

    first = await anna.data(query, id=open_one["createUpload"]["upload"]["id"])
    again = await anna.data(query, id=open_one["createUpload"]["upload"]["id"])
    late = await anna.data(query, id=finished["id"])
    data = await anna.data("{ files { totalCount } tenant { usage { bytesInFlight } } uploads { id } }")
    trash = await anna.data("{ files(filter: {deleted: true}) { nodes { name } } }")

    assert first["abortUpload"] == {"upload": {"status": "ABORTED"}, "userErrors": []}
    assert again["abortUpload"] == {"upload": None, "userErrors": [{"path": [], "code": "CONFLICT"}]}
    assert late["abortUpload"]["userErrors"] == []
    assert data == {"files": {"totalCount": 0}, "tenant": {"usage": {"bytesInFlight": 0}}, "uploads": []}
    assert trash["files"]["nodes"] == [{"name": "people.csv"}]


async def test_a_transfer_is_watched_to_its_end(product: Product) -> None:
    """002.51: over server-sent events, beside WebSocket; the stream ends by itself when the file is there."""
    anna = await log_in(product, "anna")
    upload = await anna.upload("people.csv", CONTENT)
    query = "subscription ($id: ID!) { uploadProgress(uploadId: $id) { offset size status upload { file { name } } } }"

    response = await anna.client.send(
        who=anna.token,
        json={"query": query, "variables": {"id": upload["id"]}},
        headers={"Accept": "text/event-stream"},
    )

    (_, first), end = events_of(response.text)
    size = len(CONTENT)
    progress = {"offset": size, "size": size, "status": "COMPLETED", "upload": {"file": {"name": "people.csv"}}}
    assert first == {"data": {"uploadProgress": progress}}
    assert end == ("complete", None)


@pytest.mark.slow
async def test_pages_filters_and_orders_are_the_stores(product: Product) -> None:
    """Keyset cursors go both ways, and belong to the list that made them."""
    anna = await log_in(product, "anna")
    for number in range(5):
        await anna.upload(f"{number}.csv", CONTENT * (number + 1), resource={"type": "product", "id": str(number % 2)})
    query = (
        "query ($first: Int, $after: String, $last: Int, $before: String, $filter: FileFilter) {"
        " files(first: $first, after: $after, last: $last, before: $before, filter: $filter,"
        " orderBy: {field: SIZE, direction: DESC}) {"
        " totalCount nodes { name } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"
    )

    one = (await anna.data(query, first=2))["files"]
    two = (await anna.data(query, first=2, after=one["pageInfo"]["endCursor"]))["files"]
    back = (await anna.data(query, last=2, before=two["pageInfo"]["startCursor"]))["files"]
    odd = (await anna.data(query, filter={"resource": {"type": "product", "ids": ["1"]}}))["files"]
    strange = await anna.client.ask(query, who=anna.token, after=one["pageInfo"]["endCursor"], filter={"search": "csv"})

    assert [node["name"] for node in one["nodes"] + two["nodes"]] == ["4.csv", "3.csv", "2.csv", "1.csv"]
    assert (one["totalCount"], one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasPreviousPage"]) == (5, True, True)
    assert back["nodes"] == one["nodes"]
    assert [node["name"] for node in odd["nodes"]] == ["3.csv", "1.csv"]
    assert strange["errors"][0]["extensions"]["reason"] == "cursor_invalid"


async def test_a_session_goes_on_and_ends(product: Product) -> None:
    """A refresh token is good once; after the log-out the access token is no good either."""
    client = Client(build_app(product))  # type: ignore[arg-type]
    log_in = "mutation ($input: LogInInput!) { logIn(input: $input) { session { refreshToken } userErrors { code } } }"
    refresh = (
        "mutation ($token: String!) { refreshToken(input: {refreshToken: $token}) {"
        " session { accessToken refreshToken } userErrors { code } } }"
    )
    log_out = "mutation ($token: String!) { logOut(input: {refreshToken: $token}) { userErrors { code } } }"

    first = (await client.data(log_in, input={"email": "anna", "password": PASSWORD}))["logIn"]["session"]
    renewed = (await client.data(refresh, token=first["refreshToken"]))["refreshToken"]["session"]
    before = await client.data("{ viewer { username } }", who=renewed["accessToken"])
    await client.data(log_out, token=renewed["refreshToken"])
    after = await client.send(who=renewed["accessToken"], json={"query": "{ viewer { username } }"})
    again = await client.data(refresh, token=first["refreshToken"])

    assert before == {"viewer": {"username": "anna"}}
    assert after.status_code == 401
    assert again["refreshToken"] == {"session": None, "userErrors": [{"code": "TOKEN_INVALID"}]}


@pytest.mark.slow
async def test_sql_over_a_file_that_was_uploaded(tmp_path: Path) -> None:
    """In one piece, and as a stream; what is wrong with a statement comes in S3 Select's words."""
    question = "query ($input: SelectInput!) { select(input: $input) { columns { name } rows truncated } }"
    stream = (
        "subscription ($input: SelectInput!) { selectRows(input: $input) {"
        " __typename ... on SqlRows { rows } ... on SqlEnd { stats { rowsReturned } } } }"
    )
    async with opened(tmp_path, with_sql=True) as product:
        anna = await log_in(product, "anna")
        await anna.upload("people.csv", CONTENT)
        [found] = (await anna.data("{ files { nodes { id sqlSchema { format columns { name } } } } }"))["files"][
            "nodes"
        ]
        asked = {"fileId": found["id"], "sql": "SELECT s.name FROM S3Object s WHERE CAST(s.points AS INT) > 1"}

        result = (await anna.data(question, input=asked))["select"]
        wrong = await anna.client.ask(question, who=anna.token, input={**asked, "sql": "SELECT FROM"})
        frames = await anna.client.send(
            who=anna.token,
            json={"query": stream, "variables": {"input": asked}},
            headers={"Accept": "text/event-stream"},
        )

    assert found["sqlSchema"] == {"format": "CSV", "columns": [{"name": "name"}, {"name": "points"}]}
    assert (result["columns"], result["rows"], result["truncated"]) == ([{"name": "name"}], [["ben"]], False)
    assert wrong["errors"][0]["extensions"]["sqlCode"]
    told = [content["data"]["selectRows"] for kind, content in events_of(frames.text) if kind == "next"]
    assert told == [
        {"__typename": "SqlRows", "rows": []},
        {"__typename": "SqlRows", "rows": [["ben"]]},
        {"__typename": "SqlProgress"},
        {"__typename": "SqlEnd", "stats": {"rowsReturned": 1}},
    ]


async def test_too_many_log_ins_are_429_with_the_time_to_wait_R000_9(product: Product) -> None:
    """For clients that know GraphQL, and for proxies and scripts that do not."""
    client = Client(build_app(product))  # type: ignore[arg-type]
    query = "mutation ($input: LogInInput!) { logIn(input: $input) { session { accessToken } userErrors { code } } }"
    body = {"query": query, "variables": {"input": {"email": "anna", "password": "wrong"}}}
    answers = [await client.send(json=body) for _ in range(20)]

    assert [200] * 10 + [429] * 10 == [answer.status_code for answer in answers]
    assert answers[9].json()["data"]["logIn"]["userErrors"] == [{"code": "INVALID_CREDENTIALS"}]
    assert answers[19].headers["retry-after"] == "90"
    [error] = answers[19].json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["retryAfterSeconds"]) == ("RATE_LIMITED", 90)


async def test_from_sign_up_to_a_new_password_R000_5(product: Product) -> None:
    """Everything that a stranger can do, in the words of the SDL."""
    client = Client(build_app(product))  # type: ignore[arg-type]
    account = {"email": "carla@example.org", "password": PASSWORD, "name": "Carla", "tenantName": "Carla's Maps"}

    mutate = partial(mutation, client.data)

    async def token() -> str:
        await product.postman.settle()
        return token_in(letters_in(product.settings.data_dir / "outbox")[-1])

    info = await client.data("{ serverInfo { signUpEnabled } }")
    weak = await mutate("signUp", "user { id } verificationSent", **{**account, "password": "short"})
    done = await mutate("signUp", "user { id } verificationSent", **account)
    early = await mutate("logIn", "session { accessToken }", email=account["email"], password=PASSWORD)
    again = await mutate("resendVerification", "", email=account["email"])
    verified = await mutate("verifyEmail", "user { name emailVerifiedAt }", token=await token())
    used = await mutate("verifyEmail", "user { name }", token="x")
    session = await mutate("logIn", "session { tenant { name } }", email=account["email"], password=PASSWORD)
    asked = await mutate("requestPasswordReset", "", email=account["email"])
    reset = await mutate(
        "resetPassword", "session { viewer { email } }", token=await token(), newPassword="x" * 9 + "abc"
    )

    assert info == {"serverInfo": {"signUpEnabled": True}}
    assert weak["userErrors"] == [{"path": ["password"], "code": "PASSWORD_TOO_WEAK"}]
    assert done == {"user": None, "verificationSent": True, "userErrors": []}
    assert early["userErrors"] == [{"path": [], "code": "EMAIL_NOT_VERIFIED"}]
    assert (again, asked) == ({"userErrors": []}, {"userErrors": []})
    assert verified["user"]["name"] == "Carla"
    assert used["userErrors"] == [{"path": [], "code": "TOKEN_INVALID"}]
    assert session["session"]["tenant"] == {"name": "Carla's Maps"}
    assert reset["session"]["viewer"] == {"email": account["email"]}


async def test_a_key_is_made_shown_once_used_and_ended(product: Product) -> None:
    """The whole life of one, over GraphQL."""
    anna, mallory = await log_in(product, "anna"), await log_in(product, "mallory")
    create = (
        "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { token secretAccessKey apiKey {"
        " id name prefix accessKeyId scopes tenant { name } } userErrors { path code } } }"
    )
    revoke = (
        "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } userErrors { code } } }"
    )
    keys = "{ apiKeys { totalCount nodes { id lastUsedAt } } }"

    made = (await anna.data(create, input={"name": "backup", "scopes": ["FILES_READ"]}))["createApiKey"]
    past = {"name": "backup", "scopes": ["FILES_READ"], "expiresAt": "2020-01-01T00:00:00Z"}
    refused = (await anna.data(create, input=past))["createApiKey"]
    by_key = Person(anna.client, anna.http, made["token"])
    listed = (await by_key.data(keys))["apiKeys"]
    own = await by_key.data(
        "query ($id: ID!) { viewer { username } node(id: $id) { __typename } }", id=made["apiKey"]["id"]
    )
    others = await mallory.data("query ($id: ID!) { node(id: $id) { id } }", id=made["apiKey"]["id"])
    theirs = (await mallory.data(revoke, input={"apiKeyId": made["apiKey"]["id"]}))["revokeApiKey"]
    ended = (await anna.data(revoke, input={"apiKeyId": made["apiKey"]["id"]}))["revokeApiKey"]

    assert made["apiKey"]["scopes"] == ["FILES_READ"]
    assert made["token"] == f"{made['apiKey']['prefix']}_{made['secretAccessKey']}"
    assert refused["userErrors"] == [{"path": ["expiresAt"], "code": "OUT_OF_RANGE"}]
    assert (listed["totalCount"], listed["nodes"][0]["id"]) == (1, made["apiKey"]["id"])
    assert listed["nodes"][0]["lastUsedAt"] is not None
    assert own == {"viewer": {"username": "anna"}, "node": {"__typename": "ApiKey"}}
    assert others == {"node": None}
    assert theirs == {"apiKey": None, "userErrors": [{"code": "NOT_FOUND"}]}
    assert ended == {"apiKey": {"id": made["apiKey"]["id"]}, "userErrors": []}
    assert (await anna.data(keys))["apiKeys"] == {"totalCount": 0, "nodes": []}


async def test_members_are_asked_in_changed_and_put_out(product: Product) -> None:
    """Two people and one tenant, over GraphQL; and what is written down of it."""
    await product.services.accounts.save_user("carla@example.org", PASSWORD)
    anna, carla = await log_in(product, "anna"), await log_in(product, "carla@example.org")

    async def mutate(who: Person, name: str, selection: str, /, **input: Any) -> Any:
        return await mutation(who.data, name, selection, **input)

    asked = await mutate(anna, "inviteMember", "", email="carla@example.org")
    await product.postman.settle()
    [letter] = letters_in(product.settings.data_dir / "outbox")
    token = letter.get_content().split("  ")[1].split()[0]
    joined = await mutate(carla, "acceptInvitation", "tenantId", token=token)
    anna_id = (await anna.data("{ viewer { id } }"))["viewer"]["id"]
    carla_id = (await carla.data("{ viewer { id } }"))["viewer"]["id"]
    changed = await mutate(
        anna, "updateMember", "membership { role user { username } }", userId=carla_id, role="VIEWER"
    )
    listed = (await anna.data("{ tenant { members { totalCount nodes { role user { username } } } } }"))["tenant"]
    limits = "tenant { name limits { maxFileSize allowedContentTypes trashRetentionDays } }"
    set_ = await mutate(anna, "updateTenant", limits, maxFileSize=5, allowedContentTypes=["text/*"])
    cleared = await mutate(anna, "updateTenant", limits, name="Maps", allowedContentTypes=None)
    wrong = await mutate(anna, "updateTenant", limits, name=None)
    out = await mutate(anna, "removeMember", "removedUserId", userId=carla_id)
    last = await mutate(anna, "removeMember", "removedUserId", userId=anna_id)
    done = (await anna.data("{ auditEvents(first: 10) { nodes { action actor { username } } } }"))["auditEvents"]
    own = (await carla.data("{ securityEvents { nodes { action client } pageInfo { hasNextPage } } }"))[
        "securityEvents"
    ]

    assert asked == {"userErrors": []}
    assert joined["tenantId"].startswith("tenant_")
    assert changed["membership"] == {"role": "VIEWER", "user": {"username": "carla@example.org"}}
    assert listed["members"]["totalCount"] == 2
    assert [one["role"] for one in listed["members"]["nodes"]] == ["OWNER", "VIEWER"]
    assert set_["tenant"]["limits"] == {"maxFileSize": 5, "allowedContentTypes": ["text/*"], "trashRetentionDays": 30}
    assert cleared["tenant"]["name"] == "Maps"
    assert cleared["tenant"]["limits"] == {"maxFileSize": 5, "allowedContentTypes": None, "trashRetentionDays": 30}
    assert wrong["userErrors"] == [{"path": ["name"], "code": "REQUIRED"}]
    assert out == {"removedUserId": carla_id, "userErrors": []}
    assert last["userErrors"] == [{"path": [], "code": "CONFLICT"}]
    assert [one["action"] for one in done["nodes"]] == [
        *("member_removed", "tenant_changed", "tenant_changed", "role_changed", "member_joined", "member_invited"),
    ]
    assert done["nodes"][0]["actor"] == {"username": "anna"}
    assert own["nodes"][0]["action"] == "logged_in"
