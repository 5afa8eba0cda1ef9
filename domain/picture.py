"""The port of a program that reads pictures, in a process of its own: formats are many, and so are their faults."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


class PictureRefused(Exception):
    """These bytes are no picture that is taken: not one at all, or too large. The message is fit to be shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A picture made of another: turned upright, without what the camera wrote into it.

    Attributes:
        width, height: Of this picture; `of_width`, `of_height` of the one that it was made of.
    """

    content: bytes
    content_type: str
    width: int
    height: int
    of_width: int
    of_height: int


class Pictures(Protocol):
    async def shrink(self, chunks: AsyncGenerator[bytes, None], *, edge: int) -> Picture:
        """
        Make a picture whose longer edge has so many pixels at most; the caller closes `chunks`.

        Raises:
            PictureRefused: No picture, or with more pixels or bytes than are taken.
            ImagesUnavailable: Pillow is not installed, or its process did not come through.
        """
        ...
