"""Letters on their way: nobody who asks for one waits for it, or could tell by the time whether one was sent."""

import asyncio
import logging
from collections.abc import Sequence

from domain.mail import Letter, Mail, MailUndelivered

WAITING_MAX = 1000  # letters held in memory; past that the mail server has been away for long
AT_ONCE_MAX = 4
PAUSES_SECONDS = (2.0, 15.0, 120.0, 600.0)  # between one try and the next
CLOSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Postman:
    """
    Sends in the background and tries again. What was not sent when the process ends is lost, and said in the log:
    whoever waits for a letter can ask for another.
    """

    def __init__(self, mail: Mail, *, pauses_seconds: Sequence[float] = PAUSES_SECONDS) -> None:
        self._mail = mail
        self._pauses_seconds = pauses_seconds
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, letter: Letter) -> None:
        """Take a letter; never waits, never fails."""
        if len(self._tasks) >= WAITING_MAX:
            _log.error("a letter was dropped: too many are waiting", extra={"subject": letter.subject})
            return
        task = asyncio.create_task(self._deliver(letter))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until every letter is sent or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in pending:
                task.cancel()
            if pending:
                _log.error("letters were not sent before the end", extra={"count": len(pending)})
                await asyncio.wait(pending)

    async def _deliver(self, letter: Letter) -> None:
        for pause_seconds in (*self._pauses_seconds, None):
            try:
                async with self._turns:
                    await self._mail.send(letter)
            except MailUndelivered as error:
                if error.is_final or pause_seconds is None:
                    _log.error("a letter was given up", extra={"subject": letter.subject, "why": str(error)})
                    return
                _log.warning("a letter has to wait", extra={"subject": letter.subject, "why": str(error)})
                await asyncio.sleep(pause_seconds)
            else:
                return
