"""Pages that `make web` built: their files, with a security policy of their own."""

import re
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response


def policy_of(**sources: str) -> str:
    """Write a Content-Security-Policy: everything of this origin only, but for the directives given."""
    directives = {
        "default-src": "'self'",
        **{name.replace("_", "-"): value for name, value in sources.items()},
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


POLICY = policy_of(
    # Editors write their colours and dialogs their scroll locks into <style> elements at run time.
    style_src="'self' 'unsafe-inline'",
    # Style sheets carry fonts and a few pictures as data: URLs.
    font_src="'self' data:",
    img_src="'self' data:",
)
"""What pages of others need, and nothing else: scripts, workers, requests and WebSockets of their own origin only."""

_SECURITY = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_ASKED_AGAIN = {**_SECURITY, "cache-control": "no-cache"}
_KEPT = {**_SECURITY, "cache-control": "public, max-age=31536000, immutable"}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
# What browsers insist on and the machine's own table of media types may lack.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ttf": "font/ttf"}
# Twins that a build may lay beside a file, the smaller ones first.
_ENCODINGS = {"br": ".br", "gzip": ".gz"}


def page_response(page: Path, *, not_built: str, policy: str = POLICY) -> Response:
    """Answer with a page, or with what is to be done to have it."""
    headers = {**_ASKED_AGAIN, "content-security-policy": policy}
    if not page.is_file():
        return HTMLResponse(not_built, status_code=503, headers=headers)
    return FileResponse(page, media_type="text/html", headers=headers)


def file_response(
    folder: Path, name: str, *, is_kept: bool, policy: str = POLICY, accept_encoding: str = ""
) -> Response:
    """
    Answer with a file of a page, compressed where its build made it so and the browser takes it.

    Args:
        is_kept: The name holds a hash of what is in it, so it can be kept for good.
    """
    path = folder / name
    headers = {**(_KEPT if is_kept else _ASKED_AGAIN), "content-security-policy": policy}
    if not _NAME.fullmatch(name) or not path.is_file():
        headers |= _ASKED_AGAIN
        return Response("there is no such file\n", status_code=404, media_type="text/plain", headers=headers)
    media_type = _MEDIA_TYPES.get(path.suffix)
    headers["vary"] = "accept-encoding"
    for encoding in _accepted(accept_encoding):
        twin = path.with_name(path.name + _ENCODINGS[encoding])
        if twin.is_file():
            return FileResponse(twin, media_type=media_type, headers={**headers, "content-encoding": encoding})
    return FileResponse(path, media_type=media_type, headers=headers)


def _accepted(field: str) -> list[str]:
    """Give the encodings that both sides know; one with a weight of nothing is refused."""
    offered = {}
    for item in field.lower().split(","):
        name, _, weight = item.partition(";")
        offered[name.strip()] = re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return [name for name in _ENCODINGS if offered.get(name, False)]


def not_built(title: str, *, meanwhile: str) -> str:
    """Write the page that stands where another was not built. `meanwhile`: HTML, what works without it."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} is not built yet · Lighterage</title>
<h1>{title} is not built yet</h1>
<p>The API is running. Only this page is missing: it is built with Node.js 20 or newer and npm, and one of them
was not there. Install them, then</p>
<pre>make web</pre>
<p>and load this page again; the server need not be restarted. The container image has the page in it.</p>
{meanwhile}
</html>
"""
