"""
The process that unpacks one picture: bytes in, one line of JSON and a small WebP out.

It has little memory and little time, so that a picture made to use up both harms itself alone.
"""

import json
import resource
import shutil
import sys
import warnings
from tempfile import TemporaryFile
from typing import IO, Any

MEMORY_BYTES = 2 * 2**30  # of addresses, most of it never touched; 100 million pixels unpacked are 400 MB
CPU_SECONDS = 50
QUALITY = 75


def shrink(source: IO[bytes], *, edge: int, pixels_max: int) -> tuple[dict[str, Any], bytes]:
    """Give what is to be said of a picture, and the smaller one."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        return {"missing": "Pillow"}, b""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and no warning
    try:
        with Image.open(source) as image:
            of = image.size
            if of[0] * of[1] > pixels_max:
                return {"refused": f"it has {of[0]} x {of[1]} pixels; {pixels_max} are taken"}, b""
            image.draft("RGB", (edge * 2, edge * 2))  # a JPEG is unpacked no larger than needed
            image.thumbnail((edge, edge))
            upright = ImageOps.exif_transpose(image)
            has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
            small = upright.convert("RGBA" if has_alpha else "RGB")
    except UnidentifiedImageError:
        return {"refused": "it is no picture"}, b""
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError, LookupError):
        return {"refused": "it is a picture that cannot be read"}, b""
    small.info = {}  # where it was taken, and by whom, stays with the original
    with TemporaryFile() as out:
        small.save(out, "WEBP", quality=QUALITY)
        out.seek(0)
        return {"size": small.size, "of": of}, out.read()


def main() -> None:
    edge, pixels_max = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    warnings.simplefilter("ignore")
    with TemporaryFile() as source:
        shutil.copyfileobj(sys.stdin.buffer, source)
        source.seek(0)
        facts, content = shrink(source, edge=edge, pixels_max=pixels_max)
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + content)


if __name__ == "__main__":
    main()
