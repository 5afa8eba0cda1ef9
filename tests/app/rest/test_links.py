"""Share links made, listed and ended over REST."""

from tests.app.rest.conftest import post_file
from tests.support.product import http_client


async def ask(caller, method, path, **options):
    async with caller.http as http:
        return await http.request(method, path, **options)


async def test_link_lets_a_guest_in_until_it_is_ended(world, anna, bert):
    """Its address is the right itself; another tenant cannot end it."""
    file = (await post_file(anna)).json()
    made = await ask(anna, "POST", f"/api/v1/files/{file['id']}/shares", json={"max_uses": 3})
    foreign = await ask(bert, "POST", f"/api/v1/files/{file['id']}/shares", json={})
    listed = await ask(anna, "GET", f"/api/v1/files/{file['id']}/shares")
    own = await ask(anna, "GET", "/api/v1/shares?limit=1")
    async with http_client(world.app) as guest:
        shown = await guest.get(made.json()["url"])
        content = await guest.get(shown.json()["download_url"])
        refused = await ask(bert, "DELETE", f"/api/v1/shares/{made.json()['id']}")
        ended = await ask(anna, "DELETE", f"/api/v1/shares/{made.json()['id']}")
        late = await guest.get(made.json()["url"])

    assert (made.status_code, made.json()["max_uses"], made.json()["has_password"]) == (201, 3, False)
    assert foreign.status_code == 404
    assert listed.json()["results"] == own.json()["results"] == [made.json()]
    assert content.content == b"a,b\n1,2\n"
    assert [404, 204] == [refused.status_code, ended.status_code]
    assert late.status_code in (404, 410)


async def test_guests_may_be_asked_for_files(anna):
    """A link for uploads; what cannot be is named."""
    made = await ask(anna, "POST", "/api/v1/shares", json={"expires_at": "2026-12-24T18:00:00Z"})
    wrong = [
        await ask(anna, "POST", "/api/v1/shares", json=body)
        for body in ({"max_uses": 0}, {"password": "x"}, {"kind": 1})
    ]

    assert (made.status_code, made.json()["kind"]) == (201, "upload")
    assert {422} == {one.status_code for one in wrong}
