"""What a key may look like, held once more where it becomes a path or an object's name."""

import re

from domain.blob import BlobKey

# Printable ASCII without blank, comma, slash, backslash and tilde; no segment begins with a dot.
_KEY = re.compile(r"(?![.])[!-+\-.0-9:-\[\]-}]+(?:/(?![.])[!-+\-.0-9:-\[\]-}]+)*")


def check_key(key: BlobKey) -> None:
    """
    Hold that a key stays inside the store; the domain makes only such keys.

    Raises:
        ValueError: It does not.
    """
    if not _KEY.fullmatch(key):
        raise ValueError("a blob's key is made of segments of printable ASCII that begin with no dot")
