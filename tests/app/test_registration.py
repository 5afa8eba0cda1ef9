"""From a stranger to a user: sign-up, the letter, confirmation, a new password; and what is told to whom."""

import asyncio
import base64
import json
from dataclasses import replace

import pytest

from domain.audit import AUDIT_EVENTS, AuditAction
from domain.errors import (
    EmailNotVerified,
    InvalidCredentials,
    InvalidValue,
    RateLimited,
    SignUpDisabled,
    TokenExpired,
    TokenInvalid,
)
from domain.page import Order, PageRequest
from domain.tenant import TENANTS, TenantRole
from domain.ticket import TICKETS
from domain.user import SESSIONS, USERS
from services.registration import NewAccount, SignedUp
from tests.support.mail import letters_in, token_in
from tests.support.product import PASSWORD, http_client, open_world

CARLA = NewAccount("Carla@Example.org", PASSWORD, name="Carla", tenant_name="Carla's Maps")


@pytest.fixture
def accounts(world):
    return world.product.services.accounts


@pytest.fixture
def registration(world):
    return world.product.services.registration


async def letters(world) -> list:
    """Wait for the post, then open every letter."""
    await world.product.postman.settle()
    return letters_in(world.product.settings.data_dir / "outbox")


async def token(world) -> str:
    return token_in((await letters(world))[-1])


async def actions(world) -> list[AuditAction]:
    events = world.product.records.collection(AUDIT_EVENTS)
    page = await events.list("system", order=Order("number"), page=PageRequest(100))
    return [event.action for event in page.items]


async def count(world, kind) -> int:
    return await world.product.records.collection(kind).count("system")


# ---- sign-up


async def test_sign_up_to_log_in_R000_5_R000_11(world, accounts, registration):
    """A letter comes, its token confirms the address, the user owns a tenant of their own; before, no log-in."""
    done = await registration.sign_up(CARLA, client="test")
    with pytest.raises(EmailNotVerified):
        await accounts.log_in("carla@example.org", PASSWORD, client="test")
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("carla@example.org", "wrong password", client="test")
    (letter,) = await letters(world)
    user = await registration.verify_email(token_in(letter), client="test")
    session = await accounts.log_in("carla@example.org", PASSWORD, client="test")

    assert SignedUp(None, verification_sent=True) == done
    assert ("carla@example.org", "http://test/account/verify?token=" in letter.get_content()) == (letter["To"], True)
    assert (user.id, "Carla", world.clock.now()) == (session.user.id, user.name, user.email_verified_at)
    assert session.tenant is not None
    assert ("Carla's Maps", TenantRole.OWNER) == (session.tenant.name, session.principal.role)


async def test_confirmation_is_good_once_R000_11(world, registration):
    """Also when two come at the same moment; a tenant is made once."""
    await registration.sign_up(CARLA, client="test")
    secret = await token(world)
    tenants = await count(world, TENANTS)
    tries = [registration.verify_email(secret, client="test") for _ in range(3)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert [TokenInvalid] * 2 == [type(one) for one in outcomes if isinstance(one, BaseException)]
    assert tenants + 1 == await count(world, TENANTS)
    with pytest.raises(TokenInvalid):
        await registration.verify_email(secret, client="test")


async def test_confirmation_ends_with_its_time_R000_11(world, registration, accounts):
    """A day; then another letter can be asked for."""
    await registration.sign_up(CARLA, client="test")
    secret = await token(world)
    world.clock.advance(seconds=86400)
    with pytest.raises(TokenExpired):
        await registration.verify_email(secret, client="test")
    await registration.resend_verification("CARLA@example.org", client="test")
    await registration.verify_email(await token(world), client="test")

    assert await accounts.log_in("carla@example.org", PASSWORD, client="test")


@pytest.mark.parametrize("wrong", ["", "x", "\ud800", "x" * 10_000])
async def test_token_that_is_none_is_refused(registration, wrong):
    """Without a word about why."""
    with pytest.raises(TokenInvalid):
        await registration.verify_email(wrong, client="test")
    with pytest.raises(TokenInvalid):
        await registration.reset_password(wrong, PASSWORD, client="test")


async def test_taken_address_answers_the_same_and_mails_its_owner_R000_8(world, registration, accounts):
    """Nobody learns who has an account, and the account stays as it was."""
    new = await registration.sign_up(CARLA, client="test")
    taken = await registration.sign_up(replace(CARLA, email="anna@example.org"), client="test")
    to = {letter["To"]: letter["Subject"] for letter in await letters(world)}

    assert new == taken
    assert {
        "carla@example.org": "Confirm your e-mail address",
        "anna@example.org": "You have an account already",
    } == to
    assert (await accounts.log_in("anna@example.org", PASSWORD, client="test")).user.name is None


async def test_newest_sign_up_of_an_unconfirmed_address_counts(world, registration, accounts):
    """Whoever was first with somebody's address must not have its owner confirm a stranger's password."""
    await registration.sign_up(replace(CARLA, password="the stranger's password"), client="stranger")
    strangers = await token(world)
    await registration.sign_up(CARLA, client="home")
    with pytest.raises(TokenInvalid):
        await registration.verify_email(strangers, client="stranger")
    await registration.verify_email(await token(world), client="home")

    assert await accounts.log_in("carla@example.org", PASSWORD, client="home")
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("carla@example.org", "the stranger's password", client="stranger")


async def test_two_sign_ups_at_once_make_one_user(world, registration):
    """And both hear the same."""
    users = await count(world, USERS)
    outcomes = await asyncio.gather(*(registration.sign_up(CARLA, client="test") for _ in range(4)))

    assert {SignedUp(None, verification_sent=True)} == set(outcomes)
    assert users + 1 == await count(world, USERS)
    await registration.verify_email(await token(world), client="test")


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"password": "short"}, "password", "password_too_weak"),
        ({"password": "aaaaaaaaaaaa"}, "password", "password_too_weak"),
        ({"password": "x" * 300}, "password", "too_long"),
        ({"email": "nobody"}, "email", "invalid"),
        ({"email": "a@b\r\nBcc: c@d"}, "email", "invalid"),
        ({"name": " "}, "name", "invalid"),
        ({"tenant_name": "x" * 101}, "tenant_name", "invalid"),
        ({"name": "a\nb"}, "name", "invalid"),
    ],
)
async def test_what_is_not_taken_is_named_R000_8(world, registration, change, field, reason):
    """So that a form can show it; nothing is made and nothing is sent."""
    users = await count(world, USERS)
    with pytest.raises(InvalidValue) as caught:
        await registration.sign_up(replace(CARLA, **change), client="test")

    assert ((field,), reason) == (caught.value.path, caught.value.reason)
    assert (users, []) == (await count(world, USERS), await letters(world))


async def test_nobody_can_fill_a_mailbox(world, registration):
    """Five letters an hour, whoever asks and for what, known or not."""
    for address in ("anna@example.org", "nobody@example.org"):
        for place in range(5):
            await registration.request_password_reset(address, client=f"client {place}")
        with pytest.raises(RateLimited):
            await registration.sign_up(replace(CARLA, email=address), client="another")
        with pytest.raises(RateLimited):
            await registration.resend_verification(address, client="another")

    assert {"anna@example.org"} == {letter["To"] for letter in await letters(world)}


async def test_closed_server_takes_nobody(tmp_path):
    """And says so beforehand, in `serverInfo`."""
    async with open_world(tmp_path, sign_up=False) as world:
        with pytest.raises(SignUpDisabled):
            await world.product.services.registration.sign_up(CARLA, client="test")

        assert 2 == await count(world, USERS)


async def test_without_confirmation_a_user_is_made_at_once_R000_8(tmp_path):
    """Then a taken address has to be told."""
    async with open_world(tmp_path, verify_email=False) as world:
        registration, accounts = world.product.services.registration, world.product.services.accounts
        done = await registration.sign_up(CARLA, client="test")
        session = await accounts.log_in("carla@example.org", PASSWORD, client="test")
        with pytest.raises(InvalidValue) as caught:
            await registration.sign_up(CARLA, client="test")

        assert done.user is not None
        assert (done.user.id, False) == (session.user.id, done.verification_sent)
        assert ("taken", []) == (caught.value.reason, await letters(world))


async def test_operator_can_make_an_unconfirmed_user_good(world, registration, accounts):
    """`lighterage user` counts an address as confirmed."""
    await registration.sign_up(CARLA, client="test")
    saved = await accounts.save_user("carla@example.org", "another battery staple")
    session = await accounts.log_in("carla@example.org", "another battery staple", client="test")

    assert (saved.tenant, "Carla's Maps") == (session.tenant, saved.tenant.name)


async def test_what_is_kept_is_no_password_and_no_token_R000_7(world, registration):
    """Argon2id for the one, a hash for the other."""
    await registration.sign_up(CARLA, client="test")
    secret = await token(world)
    user = await world.product.records.collection(USERS).find("system", email="carla@example.org")
    tickets = await world.product.records.collection(TICKETS).list(
        "system", order=Order("expires_at"), page=PageRequest(10)
    )

    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(user)
    assert secret not in repr(tickets)


# ---- a new password


async def test_new_password_ends_every_session_R000_10(world, registration, accounts, anna):
    """The letter's token is good once; the old password and every token are worth nothing."""
    await registration.request_password_reset(" ANNA@example.org", client="test")
    secret = await token(world)
    session = await registration.reset_password(secret, "another battery staple", client="test")

    assert anna.principal.user_id == session.user.id
    assert await accounts.authenticate(session.access_token)
    with pytest.raises(TokenInvalid):
        await accounts.authenticate(anna.session.access_token)
    with pytest.raises(TokenInvalid):
        await accounts.refresh(anna.session.refresh_token, client="test")
    with pytest.raises(InvalidCredentials):
        await accounts.log_in("anna@example.org", PASSWORD, client="test")
    with pytest.raises(TokenInvalid):
        await registration.reset_password(secret, "yet another staple", client="test")
    assert await accounts.log_in("anna@example.org", "another battery staple", client="test")
    assert ["Set a new password", "Your password was changed"] == [one["Subject"] for one in await letters(world)]


async def test_weak_new_password_leaves_the_token_good(world, registration):
    """Else every slip would cost a letter."""
    await registration.request_password_reset("anna@example.org", client="test")
    secret = await token(world)
    with pytest.raises(InvalidValue) as caught:
        await registration.reset_password(secret, "short", client="test")

    assert (("new_password",), "password_too_weak") == (caught.value.path, caught.value.reason)
    assert await registration.reset_password(secret, "another battery staple", client="test")


async def test_changed_password_voids_letters_that_are_out(world, registration, accounts):
    """Also the second of two letters."""
    await registration.request_password_reset("anna@example.org", client="test")
    first = await token(world)
    await accounts.save_user("anna@example.org", "another battery staple")
    with pytest.raises(TokenInvalid):
        await registration.reset_password(first, "yet another staple", client="test")


async def test_letters_are_good_for_one_purpose(world, registration):
    """Who may confirm an address may not set a password with the same token."""
    await registration.sign_up(CARLA, client="test")
    with pytest.raises(TokenInvalid):
        await registration.reset_password(await token(world), "another battery staple", client="test")


@pytest.mark.parametrize("email", ["nobody@example.org", "bert@example.org"])
async def test_no_letter_where_there_is_no_account_or_it_is_off(world, registration, accounts, email):
    """And the one who asked hears nothing of it."""
    await accounts.save_user("bert@example.org", PASSWORD, is_active=False)
    await registration.request_password_reset(email, client="test")
    await registration.resend_verification(email, client="test")

    assert [] == await letters(world)


async def test_every_act_is_written_down(world, registration, accounts):
    """Wrong log-ins of nobody too: they take as long as those of somebody."""
    before = len(await actions(world))
    await registration.sign_up(CARLA, client="test")
    await registration.verify_email(await token(world), client="test")
    session = await accounts.log_in("carla@example.org", PASSWORD, client="test")
    for name in ("carla@example.org", "nobody"):
        with pytest.raises(InvalidCredentials):
            await accounts.log_in(name, "wrong", client="test")
    await accounts.refresh(session.refresh_token, client="test")
    with pytest.raises(TokenInvalid):
        await accounts.refresh(session.refresh_token, client="test")
    await accounts.log_out(session.refresh_token)
    await registration.request_password_reset("carla@example.org", client="test")
    await registration.reset_password(await token(world), "another battery staple", client="test")

    assert [
        AuditAction.SIGNED_UP,
        AuditAction.EMAIL_VERIFIED,
        AuditAction.LOGGED_IN,
        AuditAction.LOG_IN_FAILED,
        AuditAction.LOG_IN_FAILED,
        AuditAction.REFRESH_TOKEN_REUSED,
        AuditAction.LOGGED_OUT,
        AuditAction.PASSWORD_RESET_REQUESTED,
        AuditAction.PASSWORD_CHANGED,
    ] == (await actions(world))[before:]


async def test_what_is_over_is_removed(world, registration):
    """Tickets with their time, the log after a year."""
    await registration.sign_up(CARLA, client="test")
    await letters(world)
    world.clock.advance(seconds=366 * 86400)
    while await world.product.maintenance.run_once():
        pass

    assert (0, 0, 0) == (await count(world, TICKETS), await count(world, AUDIT_EVENTS), await count(world, SESSIONS))


# ---- tokens that nobody of ours made


async def test_token_without_a_signature_is_refused_R000_10(world, anna):
    """`alg: none` is as old as the format."""
    head, body, _ = anna.session.access_token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    async with http_client(world.app) as http:
        for forged in (f"{none}.{body}.", f"{head}.{body}.", f"{none}.{body}.{'A' * 86}"):
            answer = await http.get(
                f"/api/v1/files/file_{'0' * 26}/content", headers={"Authorization": f"Bearer {forged}"}
            )
            assert answer.status_code == 401


# ---- where links lead


async def test_links_of_letters_lead_to_pages(world, registration, accounts):
    """For whoever has only a mailbox and a browser: confirm, forget, set anew."""
    await registration.sign_up(CARLA, client="test")
    async with http_client(world.app) as http:
        confirmed = await http.get("/account/verify", params={"token": await token(world)})
        again = await http.get("/account/verify", params={"token": await token(world)})
        await registration.request_password_reset("carla@example.org", client="test")
        secret = await token(world)
        form = await http.get("/account/reset", params={"token": secret})
        weak = await http.post("/account/reset", data={"token": secret, "password": "short"})
        changed = await http.post("/account/reset", data={"token": secret, "password": "another battery staple"})

    assert [200, 400, 200, 422, 200] == [one.status_code for one in (confirmed, again, form, weak, changed)]
    assert "used before" in again.text
    assert all(f'value="{secret}"' in page.text for page in (form, weak))
    assert await accounts.log_in("carla@example.org", "another battery staple", client="test")
    for page in (confirmed, again, form, weak, changed):
        assert ("no-store", "no-referrer") == (page.headers["cache-control"], page.headers["referrer-policy"])
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_pages_show_nothing_that_a_stranger_wrote(world):
    """A token with markup in it stays text; what is no form is none."""
    async with http_client(world.app) as http:
        page = await http.get("/account/reset", params={"token": '"><script>alert(1)</script>'})
        bodies = [
            await http.post("/account/reset", content=b"{}", headers={"Content-Type": "application/json"}),
            await http.post("/account/reset", data={"token": "x" * 9000}),
            await http.post("/account/reset", data={}),
        ]

    assert "<script>" not in page.text
    assert [400, 400, 400] == [one.status_code for one in bodies]
