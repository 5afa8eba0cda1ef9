"""Letters laid into a folder, for servers without SMTP: whoever runs the server hands them on; tests read them."""

import asyncio
import os
import secrets
from pathlib import Path

from adapters.mail.message import compose
from domain.clock import Clock
from domain.mail import Letter, MailUndelivered

LETTERS_MAX = 1000  # the oldest goes when one more comes


class Outbox:
    """One file a letter, `TIME-NUMBER-RANDOM.eml`, for the server's own user to read."""

    def __init__(self, folder: Path, *, sender: str, clock: Clock, letters_max: int = LETTERS_MAX) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock
        self._letters_max = letters_max
        self._written = 0

    async def send(self, letter: Letter) -> None:
        now = self._clock.now()
        content = compose(letter, sender=self._sender, now=now).as_bytes()
        # The number keeps those of one millisecond in order, the rest apart those of two processes.
        self._written += 1
        name = f"{now:%Y%m%dT%H%M%S.%f}-{self._written:06}-{secrets.token_hex(4)}.eml"
        try:
            await asyncio.to_thread(self._write, name, content)
        except OSError as error:
            raise MailUndelivered(f"the outbox cannot be written to: {error.strerror}") from error

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under another name until it is whole, so that nobody picks up half a letter.
        draft = self._folder / f".{name}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(content)
        draft.rename(self._folder / name)
        for old in sorted(self._folder.glob("*.eml"))[: -self._letters_max]:
            old.unlink(missing_ok=True)
