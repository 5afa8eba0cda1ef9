"""Letters as tests read them."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path


def letters_in(folder: Path) -> list[EmailMessage]:
    """Give the letters of an outbox, oldest first."""
    return [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(folder.glob("*.eml"))]


def token_in(letter: EmailMessage) -> str:
    """Find the token of a letter; the link holds the same."""
    text = letter.get_content().replace("\r\n", "\n")
    (in_link,) = re.findall(r"\?token=(\S+)", text)
    (alone,) = re.findall(r"^  ([\w-]{43})$", text, re.MULTILINE)
    assert in_link == alone
    return str(alone)
