"""Letters: what stands in one, a folder of them, and a real SMTP server."""

import socket
import stat
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from adapters.mail.message import compose
from adapters.mail.outbox import Outbox
from adapters.mail.smtp import SmtpMail, SmtpSettings
from domain.mail import Letter, MailUndelivered
from services.mailing import Postman
from tests.support.mail import letters_in
from tests.support.product import NOON, FakeClock

# aiosmtpd warns of what is meant here: this server is on this machine.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

LETTER = Letter("anna@example.org", "Hello", "A link:\n\n  http://test/?token=secret\n")
SENDER = "files@example.org"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Handler:
    """Keeps what comes; refuses recipients it does not like."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if self.answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 taken"


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def smtp(handler: Handler) -> Iterator[Controller]:
    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"files", b"right"))

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # the controller cannot say which port it was given
    controller = Controller(
        handler, hostname="127.0.0.1", port=port, authenticator=check, auth_require_tls=False, auth_required=True
    )
    controller.start()
    yield controller
    controller.stop()


def mail_at(controller: Controller, **more: Any) -> SmtpMail:
    values = {"tls": "none", "username": "files", "password": "right"} | more
    return SmtpMail(SmtpSettings("127.0.0.1", controller.port, SENDER, **values), clock=FakeClock())


def test_letter_has_the_heads_of_mail():
    """And asks that no machine answers it."""
    message = compose(LETTER, sender=SENDER, now=NOON)

    assert (SENDER, "anna@example.org", "Hello") == (message["From"], message["To"], message["Subject"])
    assert "Sat, 21 Nov 2026 12:00:00 +0000" == message["Date"]
    assert "auto-generated" == message["Auto-Submitted"]
    assert message["Message-ID"].endswith("@example.org>")


def test_letter_is_not_shown_where_it_is_logged():
    """The link in it is worth a password."""
    assert "secret" not in repr(LETTER)


async def test_outbox_holds_whole_letters_for_its_user_alone(tmp_path: Path):
    """Whoever runs the server hands them on."""
    folder = tmp_path / "outbox"
    await Outbox(folder, sender=SENDER, clock=FakeClock()).send(LETTER)
    (path,) = folder.iterdir()
    (letter,) = letters_in(folder)

    assert (0o700, 0o600) == (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode))
    assert isinstance(letter, EmailMessage)
    assert LETTER.text == letter.get_content().replace("\r\n", "\n")


async def test_outbox_is_bounded(tmp_path: Path):
    """The oldest letter goes: nobody reads it any more."""
    clock = FakeClock()
    outbox = Outbox(tmp_path, sender=SENDER, clock=clock, letters_max=2)
    for number in range(4):
        await outbox.send(Letter("anna@example.org", f"letter {number}", "text"))
        clock.advance(seconds=1)

    assert ["letter 2", "letter 3"] == [letter["Subject"] for letter in letters_in(tmp_path)]


async def test_outbox_that_cannot_be_is_said(tmp_path: Path):
    """Without the path, which is the server's."""
    (tmp_path / "file").touch()
    with pytest.raises(MailUndelivered) as caught:
        await Outbox(tmp_path / "file" / "outbox", sender=SENDER, clock=FakeClock()).send(LETTER)

    assert str(tmp_path) not in str(caught.value)
    assert not caught.value.is_final


async def test_smtp_server_gets_the_letter(smtp: Controller, handler: Handler):
    """From the sender that was set, to the one address."""
    await mail_at(smtp).send(LETTER)
    (envelope,) = handler.envelopes

    assert (SENDER, ["anna@example.org"]) == (envelope.mail_from, envelope.rcpt_tos)
    assert b"http://test/?token=secret" in (envelope.original_content or b"")


async def test_wrong_password_of_the_server_is_said_without_it(smtp: Controller, handler: Handler):
    """It stands in the log of whoever set it."""
    with pytest.raises(MailUndelivered) as caught:
        await mail_at(smtp, password="wrong").send(LETTER)

    assert "wrong" not in f"{caught.value!r}"
    assert handler.envelopes == []


async def test_server_that_cannot_encrypt_gets_nothing(smtp: Controller, handler: Handler):
    """By default a letter goes encrypted or not at all."""
    with pytest.raises(MailUndelivered):
        await mail_at(smtp, tls="starttls").send(LETTER)

    assert handler.envelopes == []


@pytest.mark.parametrize(("answer", "is_final"), [("550 no such user", True), ("451 try later", False)])
async def test_refusal_is_told_from_a_delay(smtp: Controller, handler: Handler, answer: str, is_final: bool):
    """RFC 5321: 5yz is for good, 4yz for now."""
    handler.answer = answer
    with pytest.raises(MailUndelivered) as caught:
        await mail_at(smtp).send(LETTER)

    assert is_final is caught.value.is_final


async def test_no_server_at_all_is_a_delay():
    """It may be started in a moment."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        settings = SmtpSettings("127.0.0.1", silent.getsockname()[1], SENDER, tls="none")
        with pytest.raises(MailUndelivered) as caught:
            await SmtpMail(settings, clock=FakeClock()).send(LETTER)

    assert not caught.value.is_final


class Flaky:
    """Refuses so many times."""

    def __init__(self, refusals: int, *, is_final: bool = False) -> None:
        self.refusals, self.is_final = refusals, is_final
        self.sent: list[Letter] = []
        self.tries = 0

    async def send(self, letter: Letter) -> None:
        self.tries += 1
        if self.tries <= self.refusals:
            raise MailUndelivered("not now", is_final=self.is_final)
        self.sent.append(letter)


@pytest.mark.parametrize(
    ("mail", "sent", "tries"), [(Flaky(2), 1, 3), (Flaky(3), 0, 3), (Flaky(1, is_final=True), 0, 1), (Flaky(0), 1, 1)]
)
async def test_postman_tries_again_but_not_for_ever(mail: Flaky, sent: int, tries: int, caplog):
    """And says in the log what was given up, without its text."""
    postman = Postman(mail, pauses_seconds=(0, 0))
    postman.post(LETTER)
    await postman.settle()
    await postman.close()

    assert (sent, tries) == (len(mail.sent), mail.tries)
    assert ("given up" in caplog.text) is (sent == 0)
    assert "secret" not in caplog.text
