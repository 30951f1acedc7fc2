"""The files of the page, with the headers that keep it safe.

The Content-Security-Policy lets the page load and ask nothing but this sidecar, run nothing but its files, and stand in
no frame of another page. The files are read once, in a thread, by the first request for one.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import trio

from gossipreg.net.http_message import HttpError, Request, Response, shown

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""Of everything that a browser may show as a page. `X-Content-Type-Options` is on every response."""
DATA_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Of a stream, whose head has `Cache-Control: no-store` of its own."""


@dataclass(frozen=True, slots=True)
class PageFile:
    body: bytes
    media: str
    tag: str
    """Its ETag."""


class PageFiles:
    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._files: dict[str, PageFile] | None = None

    async def answer(self, request: Request, name: str) -> Response:
        """Raises HttpError."""
        if self._files is None:
            self._files = await trio.to_thread.run_sync(read_files, self._folder)
        file = self._files.get(name)
        if file is None:
            raise HttpError(404, "no_such_path", f"the page has no file {shown(name)}")
        headers = (("ETag", file.tag), ("Cache-Control", "no-cache"), *SAFE_HEADERS)
        if file.tag in [tag.strip() for tag in request.header(b"if-none-match").split(",")]:
            return Response(304, b"", headers=headers)
        return Response(200, file.body, file.media, headers)


def read_files(folder: Path) -> dict[str, PageFile]:
    """By their path below the folder; those of other kinds than MEDIA are not of the page."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in MEDIA and path.is_file():
            body = path.read_bytes()
            tag = f'"{sha256(body).hexdigest()[:32]}"'
            found[path.relative_to(folder).as_posix()] = PageFile(body, MEDIA[path.suffix], tag)
    return found
