"""Where CloudFormation takes the answers of custom resources: a server on loopback. Knows nothing of what is answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Of the URL: who has it can answer.
SECRET = "X-Amz-Signature=5ecret"


@dataclass
class Answers:
    """Takes answers; ``statuses`` are what it says to the first ones, then 200. A status of 0 hangs up without a word."""

    url: str
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    @property
    def answer(self) -> dict[str, Any]:
        (only,) = self.answers
        return only


@contextmanager
def answers() -> Iterator[Answers]:
    """While inside, whoever is given the URL can answer."""

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taking.requests.append((self.path, dict(self.headers), body))
            status = taking.statuses.pop(0) if taking.statuses else 200
            if status:
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    taking = Answers(f"http://127.0.0.1:{server.server_port}/answer?{SECRET}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield taking
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
