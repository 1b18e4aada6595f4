"""A stand-in for the Hub: one dataset's repository, served from a folder, and what was asked of it."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = "someone/pictures"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def served(root: Path) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """The address, and every range of a file that was read: its name, first byte, and length."""
    asked: list[tuple[str, int, int]] = []

    class Hub(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None: ...

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if found := re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/[^/]+/(.+)", path):
                self.file(root / found[1])
            elif found := re.fullmatch(rf"/api/datasets/{REPOSITORY}/tree/[^/]+/?(.*)", path):
                self.folder(root / found[1])
            elif re.fullmatch(rf"/api/datasets/{REPOSITORY}(/revision/.*)?", path):
                self.say(200, json.dumps({"id": REPOSITORY, "sha": COMMIT}).encode())
            else:
                self.say(404)

        def folder(self, folder: Path) -> None:
            if not folder.is_dir():
                return self.say(404, X_Error_Code="EntryNotFound")
            entries = [
                {"type": "directory" if each.is_dir() else "file", "path": each.relative_to(root).as_posix()}
                | {"oid": "0", "size": each.stat().st_size}
                for each in sorted(folder.iterdir())
            ]
            return self.say(200, json.dumps(entries).encode())

        def file(self, path: Path) -> None:
            if not path.is_file():
                return self.say(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            content = path.read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", f"bytes=0-{len(content) - 1}"))
            assert wanted
            first, last = int(wanted[1]), int(wanted[2])
            asked.append((path.name, first, last + 1 - first))
            return self.say(206, content[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}")

        def say(self, code: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for name, value in {**headers, "Content_Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
