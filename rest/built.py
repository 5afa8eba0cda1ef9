"""Pages that `make web` built: their files, with a security policy of their own."""

import re
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response

_DIRECTIVES = {
    "default-src": "'self'",
    # Editors write their colours and dialogs their scroll locks into <style> elements at run time.
    "style-src": "'self' 'unsafe-inline'",
    # Style sheets carry fonts and a few pictures as data: URLs.
    "font-src": "'self' data:",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY = "; ".join(f"{name} {sources}" for name, sources in _DIRECTIVES.items())
"""What a page needs, and nothing else: scripts, workers, requests and WebSockets of its own origin only."""

_SECURITY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
PAGE_HEADERS = {**_SECURITY, "cache-control": "no-cache"}
_KEPT = {**_SECURITY, "cache-control": "public, max-age=31536000, immutable"}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
# What browsers insist on and the machine's own table of media types may lack.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ttf": "font/ttf"}


def page_response(page: Path, *, not_built: str) -> Response:
    """Answer with a page, or with what is to be done to have it."""
    if not page.is_file():
        return HTMLResponse(not_built, status_code=503, headers=PAGE_HEADERS)
    return FileResponse(page, media_type="text/html", headers=PAGE_HEADERS)


def file_response(folder: Path, name: str, *, is_kept: bool) -> Response:
    """
    Answer with a file of a page.

    Args:
        is_kept: The name holds a hash of what is in it, so it can be kept for good.
    """
    path = folder / name
    if not _NAME.fullmatch(name) or not path.is_file():
        return Response("there is no such file\n", status_code=404, media_type="text/plain", headers=PAGE_HEADERS)
    return FileResponse(path, media_type=_MEDIA_TYPES.get(path.suffix), headers=_KEPT if is_kept else PAGE_HEADERS)


def not_built(title: str, *, meanwhile: str) -> str:
    """Write the page that stands where another was not built. `meanwhile`: HTML, what works without it."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} is not built yet · Lighterage</title>
<style>
body {{ max-width: 40rem; margin: 4rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }}
pre {{ padding: .75rem 1rem; border: 1px solid; border-radius: 6px; overflow: auto }}
</style>
<h1>{title} is not built yet</h1>
<p>The API is running. Only this page is missing: it is built with Node.js 20 or newer and npm, and one of them
was not there. Install them, then</p>
<pre>make web</pre>
<p>and load this page again; the server need not be restarted. The container image has the page in it.</p>
{meanwhile}
</html>
"""
