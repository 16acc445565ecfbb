"""Sends the requests of a call to a deployment, through the address of its API, as a service.

    SERVICE_TOKEN=... python3 tools/release/smoke.py --api https://... [--version 1.2.3]

It creates two users of its own, calls, and deletes them at the end. Exit code 1: a step failed; 2: invalid arguments."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

TIMEOUT_SECONDS = 35


class StepFailed(Exception):
    """A response is not as expected. The message contains no token."""


class Api:
    def __init__(self, base: str, token: str) -> None:
        self._base, self._token = base.rstrip('/') + '/api/stream', token

    def send(self, method: str, path: str, body: dict | None = None, *, expect: int | tuple[int, ...] = 200) -> dict:
        expected = expect if isinstance(expect, tuple) else (expect,)
        headers = {'authorization': f'Bearer {self._token}', 'user-agent': 'stream-functions-smoke'}
        data = None
        if body is not None:
            data, headers['content-type'] = json.dumps(body).encode(), 'application/json'
        request = urllib.request.Request(self._base + path, data=data, headers=headers, method=method)
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except OSError as error:
            raise StepFailed(f'{method} {path}: no response: {error}') from None
        try:
            response = json.loads(text)
        except ValueError:
            response = {}
        print(f'{method:6} {path:40} {status} {round((time.monotonic() - started) * 1000)} ms', flush=True)
        if status not in expected:
            raise StepFailed(f'{method} {path}: status {status}, code {response.get("code")}, '
                             f'instance {response.get("instance")}; expected {expected}')
        return response


def check_config(api: Api, version: str | None) -> None:
    config = api.send('GET', '/config?deep=true')['config']
    if version and config['version'] != version:
        raise StepFailed(f'the version is {config["version"]}, expected {version}')
    failed = {name: check['code'] for name, check in config['checks'].items() if check.get('code')}
    if not config['isConfigured'] or failed:
        raise StepFailed(f'the deployment is not ready: missing {config["missing"]}, failed {failed}')


def call(api: Api, caller: str, callee: str) -> None:
    call_id = f'smoke-{uuid.uuid4()}'
    for user in (caller, callee):
        api.send('POST', '/user/upsert', {'userId': user, 'userData': {'name': 'Smoke test'}})
    created = api.send('POST', '/call/create', {'ownerId': caller, 'receiverId': callee, 'callId': call_id})
    if created['callId'] != call_id or not created['created']:
        raise StepFailed('POST /call/create returned another call')
    expect_status(api, call_id, 'active')
    api.send('POST', '/call/end', {'callId': call_id}, expect=(200, 202))
    expect_status(api, call_id, 'ending', 'ended')


def expect_status(api: Api, call_id: str, *expected: str) -> None:
    status = api.send('GET', f'/call/{call_id}')['status']
    if status not in expected:
        raise StepFailed(f'the call is {status}, expected {" or ".join(expected)}')


def main() -> int:
    parser = argparse.ArgumentParser(description='Sends the requests of a call to a deployment.')
    parser.add_argument('--api', required=True, help='the output ApiUrl of the stack')
    parser.add_argument('--version', help='the expected version of the functions')
    args = parser.parse_args()
    token = os.environ.get('SERVICE_TOKEN')
    if not token:
        parser.error('the variable SERVICE_TOKEN must contain a session token of a service')
    api = Api(args.api, token)
    caller, callee = (f'smoke-{role}-{uuid.uuid4().hex[:12]}' for role in ('caller', 'callee'))
    try:
        check_config(api, args.version)
        try:
            call(api, caller, callee)
        finally:
            for user in (caller, callee):
                api.send('DELETE', f'/user/{user}', expect=(200, 202, 404))
    except (StepFailed, KeyError) as error:
        print(f'smoke test failed: {error}', file=sys.stderr)
        return 1
    print('smoke test passed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
