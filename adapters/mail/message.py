"""A letter in the form that mail has (RFC 5322)."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime, make_msgid

from domain.mail import Letter


def compose(letter: Letter, *, sender: str, now: datetime) -> EmailMessage:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    # RFC 3834, 5: keeps out-of-office replies away.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message
