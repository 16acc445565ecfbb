"""Runs a built function, as Lambda does: the process requests the invocation, and posts the response."""

import os
import pathlib
import subprocess
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMEOUT_SECONDS = 60


class FunctionFailed(Exception):
    """The function returned an error, ended or did not respond."""


def invoke(binary: pathlib.Path, name: str, event: bytes, variables: dict[str, str]) -> bytes:
    requested, done = threading.Event(), threading.Event()
    outcome: dict[str, bytes] = {}

    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            if requested.is_set():
                done.wait()
            requested.set()
            self._respond(200, event, [('Lambda-Runtime-Aws-Request-Id', str(uuid.uuid4())),
                                       ('Lambda-Runtime-Deadline-Ms', '4102444800000'),
                                       ('Lambda-Runtime-Invoked-Function-Arn', f'arn:aws:lambda:::function:{name}')])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            if not body and 'chunked' in self.headers.get('Transfer-Encoding', ''):
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
            outcome['response' if self.path.endswith('/response') else 'error'] = body
            self._respond(202, b'', [])
            done.set()

        def _respond(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
            self.send_response(status)
            for header in [*headers, ('Content-Length', str(len(body)))]:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            """The function prints its own lines."""

    server = ThreadingHTTPServer(('127.0.0.1', 0), RuntimeApi)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        'PATH': os.environ['PATH'], 'AWS_LAMBDA_RUNTIME_API': f'127.0.0.1:{server.server_port}',
        'AWS_LAMBDA_FUNCTION_NAME': name, 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE': '256',
        'AWS_LAMBDA_FUNCTION_VERSION': '$LATEST', 'AWS_LAMBDA_LOG_GROUP_NAME': name,
        'AWS_LAMBDA_LOG_STREAM_NAME': 'test'}
    process = subprocess.Popen([binary], env=environment | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines: list[bytes] = []
    watcher = threading.Thread(target=lambda: (lines.append(process.stdout.read()), done.set()), daemon=True)
    watcher.start()
    done.wait(TIMEOUT_SECONDS)
    process.kill()
    process.wait()
    watcher.join()
    server.shutdown()
    server.server_close()
    if 'response' not in outcome:
        raise FunctionFailed(f'{binary.name}: {outcome.get("error", b"no response")!r}\n{b"".join(lines).decode()}')
    return outcome['response']
