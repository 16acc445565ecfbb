"""The local stack: its addresses, the emulator's control API, and a receiver of webhooks."""

import json
import os
import queue
import threading
import time
import urllib.request
import uuid
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

STREAM_URL = os.environ["STREAM_URL"]
API_KEY = os.environ["STREAM_API_KEY"]
API_SECRET = os.environ["STREAM_API_SECRET"]
DEADLINE_SECONDS = 15
POLL_INTERVAL_SECONDS = 0.05

# The stack is on loopback: a proxy of the environment must not see its requests.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def new_id(name: str) -> str:
    """An id that no other operation uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def emulator(action: str, body: dict) -> dict:
    """A response of the emulator's control API."""
    data = json.dumps(body).encode()
    with _OPENER.open(f"{STREAM_URL}/_emulator/{action}", data, DEADLINE_SECONDS) as response:
        return json.load(response)


def stack_clock() -> float:
    """The time of the stack's clock, in seconds."""
    from datetime import datetime

    url = f"{os.environ['API_URL']}/_local/clock"
    with _OPENER.open(url, timeout=DEADLINE_SECONDS) as response:
        now = json.load(response)["now"]
    # Python reads at most six digits of a fraction.
    whole, _, fraction = now.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6] or '0'}+00:00").timestamp()


def eventually(read, matches, description: str):
    """Reads a state until it matches."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        state = read()
        if matches(state):
            return state
        if time.monotonic() > end:
            raise AssertionError(f"{description}: not within {DEADLINE_SECONDS} s: {state}")
        time.sleep(POLL_INTERVAL_SECONDS)


class WebhookReceiver:
    """A server that receives webhooks of the emulator, as a backend beside the functions."""

    def __init__(self, scope: ExitStack) -> None:
        self._received: queue.Queue = queue.Queue()
        received = self._received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put((self.headers["X-Signature"], body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scope.callback(server.server_close)
        scope.callback(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/webhook"

    def next(self) -> tuple[str, bytes]:
        """The signature and the body of the next webhook."""
        return self._received.get(timeout=DEADLINE_SECONDS)
