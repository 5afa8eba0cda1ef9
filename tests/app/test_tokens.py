"""Who is let in, and for how long: log-in, refresh, log-out, and tokens for one upload."""

import asyncio
from dataclasses import replace

import pytest

from auth.passwords import PasswordHasher
from domain.errors import AccountDisabled, InvalidCredentials, PermissionDenied, RateLimited, TokenExpired, TokenInvalid
from domain.ids import UploadId
from domain.upload import NewUpload
from domain.user import USERS
from lighterage.assembly import build_app, open_product
from services.files import FileQuery
from tests.support.product import ADDRESS, PASSWORD, http_client, settings, tus_client
from tests.support.upload_client import TUS


@pytest.fixture
def accounts(world):
    return world.product.services.accounts


async def status_of(world, token) -> int:
    """Say how a request with this token is answered, 404 being "come in, but there is no such thing"."""
    answer = await tus_client(world.app, token).send("HEAD", f"/files/upload_{'0' * 26}", TUS)
    return answer.status


# ---- log-in


@pytest.mark.parametrize("identifier", ["anna@example.org", " ANNA@Example.org "])
async def test_log_in_takes_the_address_in_any_case(accounts, anna, identifier):
    """Nobody remembers how they once wrote it."""
    session = await accounts.log_in(identifier, PASSWORD, client="test")

    assert anna.principal.user_id == session.principal.user_id


@pytest.mark.parametrize(
    ("identifier", "password"),
    [
        ("anna@example.org", "wrong password"),
        ("nobody@example.org", PASSWORD),
        ("anna@example.org", ""),
        ("anna@example.org", "x" * 10_000),
        ("", ""),
        ("anna", PASSWORD),
    ],
)
async def test_wrong_log_in_does_not_say_what_was_wrong_R000_6(accounts, identifier, password):
    """Else names could be tried until one is known."""
    with pytest.raises(InvalidCredentials) as caught:
        await accounts.log_in(identifier, password, client="test")

    assert caught.value.message == "the user name or the password is wrong"


async def test_log_in_survives_half_a_surrogate(accounts):
    """JSON can carry text that no encoding has."""
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("anna@example.org", "\ud800", client="test")
    with pytest.raises(TokenInvalid):
        await accounts.refresh(f"session_{'0' * 26}.\ud800", client="test")


async def test_user_who_is_switched_off_cannot_log_in(accounts):
    """Whoever knows the password is told why; whoever does not hears the same as ever."""
    await accounts.save_user("anna@example.org", PASSWORD, is_active=False)
    with pytest.raises(AccountDisabled):
        await accounts.log_in("anna@example.org", PASSWORD, client="test")
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("anna@example.org", "wrong password", client="test")


async def bad_log_ins(accounts, identifier, count, *, client="test") -> list[type[BaseException]]:
    """Try with a wrong password, all at once; gives how each was refused."""
    tries = [accounts.log_in(identifier, "wrong password", client=client) for _ in range(count)]
    return [type(outcome) for outcome in await asyncio.gather(*tries, return_exceptions=True)]


@pytest.mark.parametrize("identifier", ["anna@example.org", "nobody@example.org"])
async def test_twenty_bad_log_ins_are_too_many_R000_9(world, accounts, identifier):
    """For known and unknown names alike, also when all come at once; then even the right password must wait."""
    outcomes = await bad_log_ins(accounts, identifier, 20)

    assert [InvalidCredentials] * 10 + [RateLimited] * 10 == sorted(outcomes, key=lambda one: one.__name__)
    with pytest.raises(RateLimited) as caught:
        await accounts.log_in(identifier.upper(), PASSWORD, client="test")
    assert 90 == caught.value.retry_after_seconds
    world.clock.advance(seconds=90)
    assert [InvalidCredentials] == await bad_log_ins(accounts, identifier, 1)


async def test_stranger_cannot_lock_anybody_out(accounts, anna):
    """The owner of the name comes from another address."""
    await bad_log_ins(accounts, "anna@example.org", 20, client="stranger")

    assert (await accounts.log_in("anna@example.org", PASSWORD, client="home")).user.id == anna.principal.user_id


async def test_right_log_in_begins_the_count_anew(accounts):
    """Nine slips, then it went; the next slip is the first."""
    await bad_log_ins(accounts, "anna@example.org", 9)
    await accounts.log_in("anna@example.org", PASSWORD, client="test")

    assert [InvalidCredentials] * 10 == await bad_log_ins(accounts, "anna@example.org", 10)


async def test_one_address_has_a_limit_whatever_the_names(world, accounts, anna):
    """Names can be made up without end."""
    refusals = {RateLimited: 0}
    for number in range(310):
        try:
            await accounts.refresh(f"session_{number}.x.y", client="stranger")
        except RateLimited:
            refusals[RateLimited] += 1
        except TokenInvalid:
            pass
    with pytest.raises(RateLimited):
        await accounts.log_in("anna@example.org", PASSWORD, client="stranger")

    assert 10 == refusals[RateLimited]
    assert await accounts.refresh(anna.session.refresh_token, client="home")


# ---- access tokens


async def test_access_token_ends_with_its_time_R000_10(world, anna):
    """Fifteen minutes, also where it was checked a moment ago."""
    world.clock.advance(seconds=15 * 60 - 0.5)
    before = await status_of(world, anna.session.access_token)
    world.clock.advance(seconds=0.5)

    assert (before, await status_of(world, anna.session.access_token)) == (404, 401)


async def test_tokens_stop_within_a_second_when_a_user_is_switched_off(world, anna):
    """By another process, as `lighterage user NAME PASSWORD 0` does it."""
    assert await status_of(world, anna.session.access_token) == 404
    users = world.product.records.collection(USERS)
    user = await users.get("system", anna.principal.user_id)
    await users.save(replace(user, is_active=False), expected_revision=user.revision)
    world.clock.advance(seconds=1)

    assert await status_of(world, anna.session.access_token) == 401


async def test_changed_password_ends_every_session_R000_10(world, accounts, anna):
    """Whoever knew the old one must not stay logged in."""
    await accounts.save_user("anna@example.org", "another battery staple")

    assert await status_of(world, anna.session.access_token) == 401
    with pytest.raises(TokenInvalid):
        await accounts.refresh(anna.session.refresh_token, client="test")
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("anna@example.org", PASSWORD, client="test")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer \xff", "Bearer " + "x" * 9000]
)
async def test_strange_authorization_is_refused_not_stumbled_over(world, header):
    """Whatever stands there, the answer is 401 and says how to log in."""
    client = tus_client(world.app)
    answer = await client.send("HEAD", f"/files/upload_{'0' * 26}", {**TUS, "Authorization": header})

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


# ---- refresh and log-out


async def test_refresh_gives_a_new_pair_and_takes_the_old(accounts, anna):
    """Each refresh token is good once."""
    renewed = await accounts.refresh(anna.session.refresh_token, client="test")

    assert anna.session.refresh_token != renewed.refresh_token
    assert anna.principal == renewed.principal
    assert (await accounts.refresh(renewed.refresh_token, client="test")).principal == anna.principal


async def test_refresh_token_that_comes_twice_ends_the_session(world, accounts, anna):
    """It was stolen, or its thief's was: both must log in again."""
    renewed = await accounts.refresh(anna.session.refresh_token, client="test")
    with pytest.raises(TokenInvalid):
        await accounts.refresh(anna.session.refresh_token, client="test")
    with pytest.raises(TokenInvalid):
        await accounts.refresh(renewed.refresh_token, client="test")

    assert await status_of(world, renewed.access_token) == 401


async def test_stranger_who_knows_a_sessions_id_cannot_end_it(world, accounts, anna):
    """An id is no secret: it stands in every access token and in logs."""
    session_id, family, secret = anna.session.refresh_token.split(".")
    for wrong in ("", "x", f"x.{secret}", f"{secret}.{family}", secret):
        with pytest.raises(TokenInvalid):
            await accounts.refresh(f"{session_id}.{wrong}", client="stranger")
        await accounts.log_out(f"{session_id}.{wrong}", everywhere=True)

    assert await status_of(world, anna.session.access_token) == 404
    assert (await accounts.refresh(anna.session.refresh_token, client="test")).principal == anna.principal


async def test_two_refreshes_at_once_have_one_winner(accounts, anna):
    """Compare and set: two pairs of one token would be two sessions."""
    tries = [accounts.refresh(anna.session.refresh_token, client="test") for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) <= 1
    assert all(isinstance(outcome, TokenInvalid) for outcome in outcomes if isinstance(outcome, BaseException))


async def test_refresh_token_ends_with_its_time(world, accounts, anna):
    """Thirty days without use."""
    world.clock.advance(seconds=30 * 86400)
    with pytest.raises(TokenExpired):
        await accounts.refresh(anna.session.refresh_token, client="test")


@pytest.mark.parametrize("token", ["", ".", "x", "session_x.y", f"session_{'0' * 26}.secret"])
async def test_refresh_token_that_is_none_is_refused(accounts, token):
    """Without a word about why."""
    with pytest.raises(TokenInvalid):
        await accounts.refresh(token, client="test")


async def test_log_out_ends_the_session_at_once_R000_10(world, accounts, anna):
    """Its tokens stop; another session of the same user goes on."""
    other = await accounts.log_in("anna@example.org", PASSWORD, client="test")
    await accounts.log_out(anna.session.refresh_token)

    assert (await status_of(world, anna.session.access_token), await status_of(world, other.access_token)) == (401, 404)
    with pytest.raises(TokenInvalid):
        await accounts.refresh(anna.session.refresh_token, client="test")


async def test_log_out_everywhere_ends_every_session(world, accounts, anna, bert):
    """Of that user, and of nobody else."""
    other = await accounts.log_in("anna@example.org", PASSWORD, client="test")
    await accounts.log_out(anna.session.refresh_token, everywhere=True)

    assert await status_of(world, anna.session.access_token) == 401
    assert await status_of(world, other.access_token) == 401
    assert await status_of(world, bert.session.access_token) == 404


async def test_log_out_with_a_wrong_secret_ends_nothing(world, accounts, anna):
    """Knowing a session's id is not owning it."""
    session_id = anna.session.refresh_token.partition(".")[0]
    await accounts.log_out(f"{session_id}.wrong", everywhere=True)

    assert await status_of(world, anna.session.access_token) == 404


@pytest.mark.parametrize("act", ["log out", "everywhere", "switched off", "new password"])
async def test_another_process_hears_of_it_within_a_second_R000_10(world, anna, act):
    """Two processes on one directory: what one ends, the other believes for a second at most."""
    passwords = PasswordHasher(memory_kib=8, rounds=1)
    data_dir = world.product.settings.data_dir
    async with open_product(settings(data_dir), address=ADDRESS, clock=world.clock, passwords=passwords) as other:
        app = build_app(other)
        before = await tus_client(app, anna.session.access_token).send("HEAD", f"/files/upload_{'0' * 26}", TUS)
        accounts = world.product.services.accounts
        if act in ("log out", "everywhere"):
            await accounts.log_out(anna.session.refresh_token, everywhere=act == "everywhere")
        else:
            await accounts.save_user("anna@example.org", "new battery staple", is_active=act != "switched off")
        world.clock.advance(seconds=1)
        after = await tus_client(app, anna.session.access_token).send("HEAD", f"/files/upload_{'0' * 26}", TUS)

    assert (404, 401) == (before.status, after.status)


# ---- a token for one upload


@pytest.fixture
async def capability(world, anna):
    uploads = world.product.services.uploads
    upload = await uploads.begin(anna.principal, NewUpload("a.txt", 5))
    token = uploads.headers_for(anna.principal, upload)["Authorization"].removeprefix("Bearer ")
    return upload, token


async def test_capability_uploads_its_own_upload(world, anna, capability):
    """Also when the session that asked for it is over."""
    upload, token = capability
    await world.product.services.accounts.log_out(anna.session.refresh_token)
    client = tus_client(world.app, token)

    assert await client.offset(f"/files/{upload.id}") == 0
    assert (await client.patch(f"/files/{upload.id}", 0, b"hello")).status == 204
    assert await world.content_of(await world.file_of(anna)) == b"hello"


async def test_capability_is_good_for_nothing_else(world, anna, capability):
    """Not for another upload, a new one, a file, a list or its user's own data."""
    _, token = capability
    other = await anna.tus.create(5)
    await anna.upload(b"hello")
    file = await world.file_of(anna)
    services, client = world.product.services, tus_client(world.app, token)
    principal = await services.accounts.authenticate(token)

    assert (await client.send("HEAD", other, TUS)).status == 403
    assert (await client.patch(other, 0, b"hello")).status == 403
    assert (await client.send("DELETE", other, TUS)).status == 403
    assert (await client.send("POST", "/files/", {**TUS, "Upload-Length": "1"}, b"")).status == 403
    async with http_client(world.app, token) as http:
        assert (await http.get(f"/api/v1/files/{file.id}/content")).status_code == 403
    for forbidden in (
        services.files.list_files(principal, FileQuery()),
        services.uploads.list_own(principal, statuses=(), limit=1),
        services.accounts.viewer(principal),
        services.accounts.memberships(principal),
        services.tenants.get(principal),
    ):
        with pytest.raises(PermissionDenied):
            await forbidden


async def test_capability_stops_with_its_user(world, accounts, capability):
    """Switched off is switched off."""
    upload, token = capability
    await accounts.save_user("anna@example.org", PASSWORD, is_active=False)
    world.clock.advance(seconds=1)

    assert (await tus_client(world.app, token).send("HEAD", f"/files/{upload.id}", TUS)).status == 401


async def test_capability_ends_with_the_upload_it_was_made_for(world, capability):
    """As long as the upload may take, and no longer."""
    upload, token = capability
    world.clock.advance(seconds=7 * 86400)

    assert (await tus_client(world.app, token).send("HEAD", f"/files/{UploadId(upload.id)}", TUS)).status == 401


async def test_access_token_is_no_download_token(world, anna):
    """Each token is for one purpose, which its audience names."""
    await anna.upload(b"hello")
    link = await world.download_path(anna, (await world.file_of(anna)).id)

    assert await status_of(world, link.partition("?token=")[2]) == 401
