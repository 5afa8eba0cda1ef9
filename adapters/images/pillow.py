"""Hands pictures to a process that lives for one of them: whatever is in the bytes, it takes nothing else down."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress

from domain.errors import ImagesUnavailable
from domain.picture import Picture, PictureRefused

SECONDS_MAX = 60.0
BYTES_MAX = 100 * 2**20  # of a picture
HEAD_BYTES_MAX = 4096


class PillowPictures:
    """
    Args:
        pixels_max: A picture that says it has more is refused before it is unpacked.
    """

    def __init__(self, *, pixels_max: int, bytes_max: int = BYTES_MAX) -> None:
        self._pixels_max = pixels_max
        self._bytes_max = bytes_max

    async def shrink(self, chunks: AsyncGenerator[bytes, None], *, edge: int) -> Picture:
        command = [sys.executable, "-m", "adapters.images.worker", str(edge), str(self._pixels_max)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            return await asyncio.wait_for(self._ask(process, chunks), SECONDS_MAX)
        except TimeoutError as error:
            raise PictureRefused(f"it could not be read within {SECONDS_MAX:.0f} s") from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            with suppress(ConnectionError):
                await process.communicate()

    async def _ask(self, process: asyncio.subprocess.Process, chunks: AsyncGenerator[bytes, None]) -> Picture:
        assert process.stdin is not None
        assert process.stdout is not None
        sent = 0
        # It may have seen enough, and said so, before everything was sent.
        with suppress(ConnectionError):
            async for chunk in chunks:
                sent += len(chunk)
                if sent > self._bytes_max:
                    raise PictureRefused(f"it is larger than {self._bytes_max} bytes")
                process.stdin.write(chunk)
                await process.stdin.drain()
            process.stdin.close()
        head = await process.stdout.readline()
        content = await process.stdout.read()
        if await process.wait() != 0 or not head:
            raise ImagesUnavailable
        facts = json.loads(head)
        if "missing" in facts:
            raise ImagesUnavailable
        if "refused" in facts:
            raise PictureRefused(facts["refused"])
        width, height = facts["size"]
        of_width, of_height = facts["of"]
        return Picture(content, "image/webp", width, height, of_width, of_height)
