"""The loop that does what has to be done though nobody asks, in the process that serves."""

import asyncio
import logging
from typing import Protocol

from domain.errors import LighterageError

PAUSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Maintenance(Protocol):
    async def run_once(self) -> int: ...


async def run_maintenance(maintenance: Maintenance, *, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Work until cancelled: round after round while there is something to do, else with pauses."""
    while True:
        try:
            done = await maintenance.run_once()
        except LighterageError as error:
            # A store that is away comes back; what was not done is found again in a later round.
            logger.warning("maintenance was broken off: %s", error.message)
            done = 0
        except Exception:
            # The error boundary of this face: a fault in one round must not end all later ones.
            logger.exception("maintenance failed")
            done = 0
        if done == 0:
            await asyncio.sleep(pause_seconds)
