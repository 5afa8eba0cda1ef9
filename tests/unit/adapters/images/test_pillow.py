"""Pictures: made small and upright in a process of their own; bombs and nonsense are refused."""

import io
import zlib
from collections.abc import AsyncGenerator

import pytest
from PIL import Image

from adapters.images.pillow import PillowPictures
from domain.picture import PictureRefused

pytestmark = pytest.mark.slow


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


async def pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


async def shrink(content: bytes, **limits: int):
    return await PillowPictures(**{"pixels_max": 1_000_000} | limits).shrink(pieces(content), edge=64)


async def test_picture_is_made_small_and_upright_without_what_the_camera_wrote():
    """Turned by its EXIF, and that left out: it says where somebody lives."""
    wide = Image.new("RGB", (400, 200), "white")
    wide.paste("red", (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn right by 90 degrees
    exif[0x010E] = "secret place"
    small = await shrink(encoded(wide, "JPEG", exif=exif, quality=95))
    seen = Image.open(io.BytesIO(small.content))

    assert ("image/webp", (32, 64), (400, 200)) == (small.content_type, seen.size, (small.of_width, small.of_height))
    assert (32, 64) == (small.width, small.height)
    assert b"secret" not in small.content
    red, blue = seen.convert("RGB").getpixel((16, 8)), seen.convert("RGB").getpixel((16, 56))
    assert (red[1] < 60, blue[2] > 200) == (True, True)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
async def test_formats(kind):
    small = await shrink(encoded(Image.new("RGB", (100, 50), "green"), kind))

    assert (64, 32) == (small.width, small.height)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose head promises what its few bytes do not hold."""

    def part(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", pixels) + part(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no picture", "no picture"),
        (b"", "no picture"),
        (bomb(50_000, 50_000), "pixels"),
        (bomb(100, 100), "cannot be read"),
        (encoded(Image.new("RGB", (100, 100)), "PNG")[:60], "cannot be read"),
    ],
    ids=["text", "empty", "bomb", "lying", "cut"],
)
async def test_what_is_no_good_picture_is_refused(content, words):
    with pytest.raises(PictureRefused, match=words):
        await shrink(content)


async def test_more_bytes_than_are_taken_are_refused():
    with pytest.raises(PictureRefused, match="larger"):
        await shrink(b"\x89PNG\r\n\x1a\n" + b"x" * 200_000, bytes_max=100_000)
