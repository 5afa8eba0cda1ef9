"""Every root field through the endpoint: what it answers, and to whom."""

import pytest

from domain.file import Visibility
from domain.ids import new_file_id, new_upload_id
from services.files import UNCHANGED
from tests.support.graphql_client import Client
from tests.support.graphql_fakes import ACME, ANNA, BEN, MALLORY, NOW, OTHER, Fakes, file

UPLOAD = (
    "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { id url size offset "
    "status chunkSize headers { name value } } userErrors { path message code } } }"
)


async def test_viewer_of_a_guest_is_null(client: Client) -> None:
    """ "Am I logged in?" is a question, not an error."""
    assert await client.data("{ viewer { id } }") == {"viewer": None}


async def test_viewer_knows_who_asks_and_where_they_belong(client: Client) -> None:
    """What every client asks first."""
    data = await client.data(
        "{ viewer { username memberships { totalCount nodes { role tenant { slug } } } } }", who="anna"
    )

    memberships = {"totalCount": 1, "nodes": [{"role": "OWNER", "tenant": {"slug": "acme"}}]}
    assert data == {"viewer": {"username": "anna", "memberships": memberships}}


async def test_server_info_is_for_everyone(client: Client) -> None:
    """A client needs it before anyone signs in; a size past JSON's exact numbers is cut to them."""
    data = await client.data("{ serverInfo { version tusUrl maxFileSize signUpEnabled } }")

    assert data["serverInfo"] == {
        "version": "1.2.3",
        "tusUrl": "http://localhost/files/",
        "maxFileSize": 2**53 - 1,
        "signUpEnabled": False,
    }


async def test_log_in_gives_a_session(client: Client) -> None:
    """The token of the answer is good at once."""
    query = (
        'mutation { logIn(input: {email: "anna", password: "secret"}) { session { accessToken viewer { email '
        "} tenant { slug } } userErrors { code } } }"
    )

    data = await client.data(query)

    session = {"accessToken": "anna", "viewer": {"email": "anna@example.com"}, "tenant": {"slug": "acme"}}
    assert data["logIn"] == {"session": session, "userErrors": []}


async def test_log_in_with_a_wrong_password_is_a_user_error(client: Client) -> None:
    """A form shows it; which of the two was wrong is not said."""
    query = (
        'mutation { logIn(input: {email: "anna", password: "no"}) { session { accessToken } userErrors { '
        "path message code } } }"
    )

    data = await client.data(query)

    error = {"path": [], "message": "the user name or the password is wrong", "code": "INVALID_CREDENTIALS"}
    assert data["logIn"] == {"session": None, "userErrors": [error]}


async def test_refresh_token_goes_on_or_says_why_not(client: Client) -> None:
    """A used token and a strange tenant are things the client can act on."""
    query = (
        "mutation ($input: RefreshTokenInput!) { refreshToken(input: $input) { session { accessToken } "
        "userErrors { code } } }"
    )

    good = await client.data(query, input={"refreshToken": "refresh ben"})
    used = await client.data(query, input={"refreshToken": "stolen"})
    strange = await client.data(query, input={"refreshToken": "refresh ben", "tenantId": OTHER.id})

    assert good["refreshToken"] == {"session": {"accessToken": "ben"}, "userErrors": []}
    assert used["refreshToken"] == {"session": None, "userErrors": [{"code": "TOKEN_INVALID"}]}
    assert strange["refreshToken"] == {"session": None, "userErrors": [{"code": "NOT_FOUND"}]}


async def test_log_out_ends_the_session(client: Client, services: Fakes) -> None:
    """The service is told which."""
    data = await client.data('mutation { logOut(input: {refreshToken: "refresh ben"}) { userErrors { code } } }')

    assert data == {"logOut": {"userErrors": []}}
    assert services.accounts.ended == {"ben"}


async def test_create_upload_says_where_the_bytes_go(client: Client, services: Fakes) -> None:
    """The tus URL and its headers: the browser needs nothing else, and no session."""
    data = await client.data(
        UPLOAD, who="ben", input={"name": "a.csv", "size": 5, "metadata": [{"key": "k", "value": "v"}]}
    )

    upload = data["createUpload"]["upload"]
    assert data["createUpload"]["userErrors"] == []
    assert upload["url"] == f"http://localhost/files/{upload['id']}"
    assert upload["headers"][0] == {"name": "Authorization", "value": "Bearer for-this-upload"}
    assert (upload["size"], upload["offset"], upload["status"]) == (5, 0, "CREATED")
    assert [(new.name, new.length, new.metadata[0].value) for new in services.uploads.begun] == [("a.csv", 5, "v")]


@pytest.mark.parametrize(
    ("input", "path", "code"),
    [
        ({"name": " "}, ["name"], "REQUIRED"),
        ({"name": "a" * 2000}, ["name"], "TOO_LONG"),
        ({"name": "a", "size": -1}, ["size"], "OUT_OF_RANGE"),
        ({"name": "a", "sha256": "xyz"}, ["sha256"], "INVALID"),
        ({"name": "a", "idempotencyKey": ""}, ["idempotencyKey"], "TOO_LONG"),
        ({"name": "a", "resource": {"type": "a/b", "id": "1"}}, ["resource", "type"], "INVALID"),
        ({"name": "a", "metadata": [{"key": "", "value": ""}]}, ["metadata", "0"], "INVALID"),
    ],
)
async def test_create_upload_names_the_field_at_fault(
    client: Client, services: Fakes, input: dict[str, object], path: list[str], code: str
) -> None:
    """A form can put the message beside the field; nothing was begun."""
    data = await client.data(UPLOAD, who="ben", input=input)

    [error] = data["createUpload"]["userErrors"]
    assert (error["path"], error["code"]) == (path, code)
    assert data["createUpload"]["upload"] is None
    assert services.uploads.begun == []


async def test_create_upload_without_the_right_is_forbidden(client: Client) -> None:
    """A viewer cannot type their way to it, so it is no user error."""
    assert await client.code(UPLOAD, who="vera", input={"name": "a"}) == "FORBIDDEN"
    assert await client.code(UPLOAD, input={"name": "a"}) == "UNAUTHENTICATED"


async def test_abort_upload_drops_it(client: Client) -> None:
    """It is told as it was when it ended, and listed no more."""
    query = (
        "mutation ($id: ID!) { abortUpload(input: {uploadId: $id}) { upload { id status } userErrors { path code } } }"
    )
    made = await client.data(UPLOAD, who="ben", input={"name": "a"})
    upload_id = made["createUpload"]["upload"]["id"]

    listed = await client.data("{ uploads { id } }", who="ben")
    ended = await client.data(query, who="ben", id=upload_id)
    after = await client.data("{ uploads { id } }", who="ben")

    assert listed == {"uploads": [{"id": upload_id}]}
    assert ended["abortUpload"] == {"upload": {"id": upload_id, "status": "ABORTED"}, "userErrors": []}
    assert after == {"uploads": []}


async def test_abort_upload_of_another_tenant_is_not_found(client: Client) -> None:
    """The same as one that never was: an id is no existence oracle."""
    query = "mutation ($id: ID!) { abortUpload(input: {uploadId: $id}) { upload { id } userErrors { path code } } }"
    made = await client.data(UPLOAD, who="ben", input={"name": "a"})

    strange = await client.data(query, who="mallory", id=made["createUpload"]["upload"]["id"])
    missing = await client.data(query, who="mallory", id=new_upload_id())
    garbage = await client.data(query, who="mallory", id="upload_")

    refused = {"upload": None, "userErrors": [{"path": ["uploadId"], "code": "NOT_FOUND"}]}
    assert strange == missing == garbage == {"abortUpload": refused}


async def test_files_come_a_page_at_a_time(client: Client, services: Fakes) -> None:
    """A cursor continues where the page ended, and the count is of all pages."""
    services.files.add(*(file(f"{number}.csv") for number in range(5)))
    query = (
        "query ($after: String) { files(first: 3, after: $after) { totalCount nodes { name } edges { cursor "
        "node { name } } pageInfo { hasNextPage hasPreviousPage endCursor } } }"
    )

    one = (await client.data(query, who="anna"))["files"]
    two = (await client.data(query, who="anna", after=one["pageInfo"]["endCursor"]))["files"]

    assert [node["name"] for node in one["nodes"]] == ["0.csv", "1.csv", "2.csv"]
    assert [edge["node"]["name"] for edge in two["edges"]] == ["3.csv", "4.csv"]
    assert (one["totalCount"], one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasNextPage"]) == (5, True, False)
    assert one["edges"][-1]["cursor"] == one["pageInfo"]["endCursor"]


@pytest.mark.parametrize(("first", "reason"), [(0, "invalid_value"), (101, "invalid_value"), (-1, "invalid_value")])
async def test_a_page_has_bounds(client: Client, first: int, reason: str) -> None:
    """The answer names the argument."""
    answer = await client.ask("query ($first: Int) { files(first: $first) { nodes { id } } }", who="anna", first=first)

    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert (error["extensions"]["reason"], error["extensions"]["argument"]) == (reason, ["first"])


async def test_a_strange_cursor_is_told_apart(client: Client) -> None:
    """A client that kept one of another list can begin anew."""
    answer = await client.ask('{ files(after: "nonsense") { nodes { id } } }', who="anna")

    assert answer["errors"][0]["extensions"]["reason"] == "cursor_invalid"


async def test_a_filter_reaches_the_service_whole(client: Client, services: Fakes) -> None:
    """Every operator has its place in the query."""
    wanted = {
        "search": "re",
        "name": {"in": ["a", "b"], "startsWith": "a"},
        "contentType": {"eq": "text/csv"},
        "status": ["READY"],
        "visibility": ["TENANT", "PUBLIC"],
        "resource": {"type": "product", "ids": ["1"]},
        "uploadedBy": [ANNA.id, "garbage"],
        "size": {"gte": 1, "lte": "9007199254740991"},
        "createdAt": {"gte": "2026-01-01T00:00:00+01:00"},
        "expiresAt": {"lt": "2026-01-01T00:00:00.123Z"},
        "deleted": True,
    }
    order = {"field": "NAME", "direction": "DESC"}

    await client.data(
        "query ($f: FileFilter, $o: FileOrder) { files(filter: $f, orderBy: $o) { nodes { id } } }",
        who="anna",
        f=wanted,
        o=order,
    )

    [query] = services.files.queries
    assert (query.search, query.name_in, query.name_prefix, query.content_type_eq) == (
        "re",
        ("a", "b"),
        "a",
        "text/csv",
    )
    assert (query.resource_type, query.resource_ids, query.uploaded_by) == ("product", ("1",), (ANNA.id,))
    assert query.visibilities == (Visibility.TENANT, Visibility.PUBLIC)
    assert (query.size_min, query.size_max, query.deleted) == (1, 2**53 - 1, True)
    assert query.created_from is not None
    assert query.created_from.isoformat() == "2025-12-31T23:00:00+00:00"
    assert query.expires_before is not None
    assert query.expires_before.microsecond == 123_000
    assert (query.order.field.name, query.order.descending) == ("NAME", True)


async def test_owners_of_a_page_are_fetched_together(client: Client, services: Fakes) -> None:
    """Fifty files of two people are one look-up, not fifty."""
    services.files.add(*(file(f"{number}", owner=(ANNA, BEN)[number % 2]) for number in range(50)))

    data = await client.data("{ files { nodes { uploadedBy { username } tenant { slug } } } }", who="anna")

    assert data["files"]["nodes"][1] == {"uploadedBy": {"username": "ben"}, "tenant": {"slug": "acme"}}
    assert services.accounts.batches == [[ANNA.id, BEN.id]]


async def test_a_file_tells_all_about_itself(client: Client, services: Fakes) -> None:
    """Sizes are JSON numbers, times have milliseconds, the download URL takes its arguments."""
    one = file(size=2**40)
    services.files.add(one)
    query = (
        "query ($id: ID!) { file(id: $id) { id name size contentType status visibility createdAt expiresAt "
        "version resource { id } metadata { key } downloadUrl(ttlSeconds: 60, disposition: INLINE) sqlSchema "
        "{ format columns { name type nullable } } } }"
    )

    found = (await client.data(query, who="anna", id=one.id))["file"]

    assert (found["size"], found["createdAt"], found["version"]) == (2**40, "2026-01-31T12:00:00.000Z", 0)
    assert (found["status"], found["visibility"], found["resource"], found["metadata"]) == ("READY", "TENANT", None, [])
    assert found["downloadUrl"] == f"http://localhost/{one.id}?ttl=60&inline=True"
    assert found["sqlSchema"]["columns"][1] == {"name": "b", "type": "string", "nullable": True}


async def test_a_file_of_another_tenant_is_not_there(client: Client, services: Fakes) -> None:
    """In every field that takes an id, the same as one that never was."""
    one = file(tenant=OTHER, owner=MALLORY)
    services.files.add(one)
    query = "query ($id: ID!) { file(id: $id) { id } }"

    for text in (one.id, new_file_id(NOW), "file_", "1", "", "../../etc/passwd"):
        assert await client.code(query, who="anna", id=text) == "NOT_FOUND"
        assert await client.data("query ($id: ID!) { node(id: $id) { id } }", who="anna", id=text) == {"node": None}


async def test_nodes_answers_in_the_order_of_the_ids(client: Client, services: Fakes) -> None:
    """Of any type; what is not there leaves its place empty."""
    one = file()
    services.files.add(one)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on File { name } ... on Tenant { slug } } }"

    data = await client.data(query, who="anna", ids=[ACME.id, "x", one.id, OTHER.id, BEN.id, MALLORY.id])

    assert data["nodes"] == [
        {"__typename": "Tenant", "id": ACME.id, "slug": "acme"},
        None,
        {"__typename": "File", "id": one.id, "name": "report.csv"},
        None,
        {"__typename": "User", "id": BEN.id},
        None,
    ]


async def test_nodes_takes_a_hundred_at_most(client: Client) -> None:
    """More is refused before anything is looked up."""
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    assert await client.code(query, who="anna", ids=["x"] * 101) == "BAD_REQUEST"


async def test_tenant_tells_usage_and_limits(client: Client) -> None:
    """By default the token's own."""
    query = (
        "{ tenant { slug usage { fileCount bytesStored bytesInFlight } limits { maxBytesStored maxFileSize "
        "allowedContentTypes trashRetentionDays } } }"
    )

    tenant = (await client.data(query, who="anna"))["tenant"]

    assert tenant["usage"] == {"fileCount": 2, "bytesStored": 2048, "bytesInFlight": 10}
    assert tenant["limits"] == {
        "maxBytesStored": None,
        "maxFileSize": 2**53 - 1,
        "allowedContentTypes": None,
        "trashRetentionDays": 30,
    }
    assert await client.code("query ($id: ID) { tenant(id: $id) { id } }", who="anna", id=OTHER.id) == "NOT_FOUND"
    assert await client.code('{ tenant(slug: "other") { id } }', who="anna") == "NOT_FOUND"


async def test_update_file_changes_what_is_named(client: Client, services: Fakes) -> None:
    """Absent is left as it is, null is cleared."""
    one = file()
    services.files.add(one)
    query = (
        "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { file { name version } userErrors "
        "{ path code } } }"
    )

    data = await client.data(
        query, who="anna", input={"fileId": one.id, "ifVersion": 0, "name": "b.csv", "expiresAt": None}
    )

    assert data["updateFile"] == {"file": {"name": "b.csv", "version": 1}, "userErrors": []}
    [changes] = services.files.changes
    assert (changes.name, changes.expires_at, changes.visibility) == ("b.csv", None, UNCHANGED)


@pytest.mark.parametrize(
    ("more", "path", "code"),
    [
        ({"ifVersion": 7}, [], "CONFLICT"),
        ({"name": ""}, ["name"], "REQUIRED"),
        ({"fileId": "file_"}, ["fileId"], "NOT_FOUND"),
    ],
)
async def test_update_file_says_why_not(
    client: Client, services: Fakes, more: dict[str, object], path: list[str], code: str
) -> None:
    """And leaves the file as it was."""
    one = file()
    services.files.add(one)
    query = (
        "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { file { name } userErrors { path code } } }"
    )

    data = await client.data(query, who="anna", input={"fileId": one.id, **more})

    assert data["updateFile"] == {"file": None, "userErrors": [{"path": path, "code": code}]}
    assert services.files.files[one.id] == one


@pytest.mark.parametrize("field", ["name", "visibility"])
async def test_update_file_cannot_clear_what_is_never_empty(client: Client, services: Fakes, field: str) -> None:
    """Null in a literal and in a variable are the same user error."""
    one = file()
    services.files.add(one)
    literal = (
        f'mutation {{ updateFile(input: {{fileId: "{one.id}", {field}: null}}) {{ userErrors {{ path code }} }} }}'
    )
    variable = "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { userErrors { path code } } }"

    first = await client.data(literal, who="anna")
    second = await client.data(variable, who="anna", input={"fileId": one.id, field: None})

    assert first == second == {"updateFile": {"userErrors": [{"path": [field], "code": "REQUIRED"}]}}
    assert services.files.files[one.id] == one


async def test_delete_files_tells_each_failure_with_its_place(client: Client, services: Fakes) -> None:
    """One that is not there hinders no other; restoring works the same way."""
    one, two = file("1"), file("2", tenant=OTHER, owner=MALLORY)
    services.files.add(one, two)
    query = "mutation ($ids: [ID!]!) { %s(input: {fileIds: $ids}) { files { id deletedAt } userErrors { path code } } }"

    gone = await client.data(query % "deleteFiles", who="anna", ids=["x", one.id, two.id])
    back = await client.data(query % "restoreFiles", who="anna", ids=[one.id])

    not_found = [{"path": ["fileIds", "0"], "code": "NOT_FOUND"}, {"path": ["fileIds", "2"], "code": "NOT_FOUND"}]
    deleted = {"id": one.id, "deletedAt": "2026-01-31T12:00:00.000Z"}
    assert gone["deleteFiles"] == {"files": [deleted], "userErrors": not_found}
    assert back["restoreFiles"] == {"files": [{"id": one.id, "deletedAt": None}], "userErrors": []}


async def test_delete_files_takes_a_hundred_at_most(client: Client, services: Fakes) -> None:
    """More is refused whole."""
    query = "mutation ($ids: [ID!]!) { deleteFiles(input: {fileIds: $ids}) { files { id } userErrors { path code } } }"

    data = await client.data(query, who="anna", ids=["x"] * 101)

    assert data["deleteFiles"] == {"files": [], "userErrors": [{"path": ["fileIds"], "code": "TOO_LONG"}]}


async def test_select_gives_columns_and_rows(client: Client, services: Fakes) -> None:
    """Cells are JSON; a number past JSON's exact ones goes as text rather than wrong."""
    one = file()
    services.files.add(one)
    query = (
        "query ($input: SelectInput!) { select(input: $input) { columns { name } rows truncated stats { "
        "bytesScanned rowsReturned elapsedMs } } }"
    )

    data = await client.data(query, who="anna", input={"fileId": one.id, "sql": "SELECT * FROM S3Object"})

    assert data["select"]["rows"] == [["00501", None], [str(2**60), 1.5]]
    assert (data["select"]["columns"][0], data["select"]["truncated"]) == ({"name": "a"}, False)


async def test_select_says_what_is_wrong_with_the_statement(client: Client, services: Fakes) -> None:
    """In S3 Select's own codes."""
    one = file()
    services.files.add(one)
    query = "query ($input: SelectInput!) { select(input: $input) { truncated } }"

    answer = await client.ask(query, who="anna", input={"fileId": one.id, "sql": "SELECT WRONG FROM S3Object"})

    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["reason"], extensions["sqlCode"]) == (
        "BAD_REQUEST",
        "sql_invalid",
        "InvalidColumn",
    )


async def test_an_unexpected_fault_is_masked(client: Client, services: Fakes, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets a request id to name, the log gets the fault."""

    def fail() -> None:
        raise RuntimeError("password=hunter2")

    services.files.failure = fail

    answer = await client.ask("{ viewer { id } files { nodes { id } } }", who="anna")

    [error] = answer["errors"]
    assert answer["data"] is None
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "hunter2" not in str(answer)
    assert "hunter2" in caplog.text
