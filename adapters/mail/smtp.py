"""Letters handed to an SMTP server."""

from dataclasses import dataclass, field
from typing import Literal

import aiosmtplib

from adapters.mail.message import compose
from domain.clock import Clock
from domain.mail import Letter, MailUndelivered

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """
    Attributes:
        tls: `starttls` and `tls` refuse a server that cannot; `none` sends in the clear, for one on this machine.
    """

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpMail:
    def __init__(self, settings: SmtpSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def send(self, letter: Letter) -> None:
        settings = self._settings
        try:
            await aiosmtplib.send(
                compose(letter, sender=settings.sender, now=self._clock.now()),
                hostname=settings.host,
                port=settings.port,
                username=settings.username,
                password=settings.password,
                use_tls=settings.tls == "tls",
                start_tls=settings.tls == "starttls",
                timeout=TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPException as error:
            raise MailUndelivered(f"SMTP: {type(error).__name__}", is_final=_is_final(error)) from error
        except OSError as error:
            raise MailUndelivered(f"the mail server does not answer: {error.strerror}") from error


def _is_final(error: aiosmtplib.SMTPException) -> bool:
    """
    RFC 5321, 4.2.1: "5yz Permanent Negative Completion reply ... The SMTP client SHOULD NOT repeat the exact request".
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(500 <= one.code < 600 for one in error.recipients)
    return isinstance(error, aiosmtplib.SMTPResponseException) and 500 <= error.code < 600
