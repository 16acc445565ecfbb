"""An operator's machine: a copy of the project, a shell with the tools of the documents, AWS and Stream on loopback."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import boto3
import pytest
from moto.awslambda.models import lambda_backends

import documents
import functions
from cloud import ACCOUNT, REGION, Cloud
from documents import ROOT, Command
from shell import Shell, environment

TARGET = pathlib.Path(os.environ.get('CARGO_TARGET_DIR', ROOT / 'target')).resolve()
CREDENTIALS = {'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test', 'AWS_SESSION_TOKEN': 'test'}
STREAM_KEY = 'local-stream-api-key-of-the-emulated-app'
STREAM_SECRET = 'local-stream-api-secret-never-deploy-this-one'
COMMANDS = documents.commands()
# The test of each command.
COVERED: dict[tuple[str, str, int | str], str] = {}


def covers(document: str, heading: str, *names: int | str):
    """Declares the commands that a test runs."""

    def declare(test):
        for name in names:
            COVERED[document, heading, name] = test.__name__
        test.declared = [*getattr(test, 'declared', []), *((document, heading, name) for name in names)]
        return test

    return declare


class Operator:
    """A person at a shell with the documents."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.done: set[tuple[str, str, int | str]] = set()

    def run(self, document: str, heading: str, name: int | str, **options) -> str:
        command = COMMANDS[document, heading, name]
        self.done.add(command.key)
        return self._shell.run(command, **options)

    def run_part(self, document: str, heading: str, name: int | str, pattern: str, **options) -> str:
        """Runs the lines of a command that match, for a command with a manual step in between."""
        command = COMMANDS[document, heading, name]
        self.done.add(command.key)
        part = re.search(pattern, command.text, re.M | re.S)
        assert part, f'{command} does not match {pattern!r}'
        return self._shell.run(part[0], **options)

    def type(self, text: str, **options) -> str:
        """Runs a command of the test, such as one that prints a variable of the document."""
        return self._shell.run(text, **options)

    @property
    def directory(self) -> pathlib.Path:
        return self._shell.directory


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@pytest.fixture(scope='session')
def project(tmp_path_factory) -> pathlib.Path:
    """A copy of the files of the project, since the commands write files."""
    copy = tmp_path_factory.mktemp('operator') / 'project'
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout.split('\0')
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope='session')
def tools(tmp_path_factory) -> list[pathlib.Path]:
    """The directories of the tools: the AWS CLI, the packages of the requirements, and cargo."""
    if 'AWS_CLI' not in os.environ:
        pytest.fail('AWS_CLI must be the path of the AWS CLI, version 2')
    directory = tmp_path_factory.mktemp('tools')
    (directory / 'aws').symlink_to(pathlib.Path(os.environ['AWS_CLI']).resolve())
    cargo = directory / 'cargo'
    cargo.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/runbooks/cargo.py "$@"\n')
    cargo.chmod(0o755)
    return [directory, pathlib.Path(sys.executable).parent]


@pytest.fixture(scope='session')
def cloud(stream_url):
    """AWS, whose functions use the emulated Stream."""

    def invoke(name: str, event: bytes) -> bytes:
        function = lambda_backends[ACCOUNT][REGION].get_function(name)
        binary = re.sub(r'([a-z])([A-Z])', r'\1-\2', re.search(r'-(\w+)Function-', name)[1]).lower()
        variables = {key: str(value) for key, value in function.environment_vars.items()}
        endpoints = {'DYNAMODB_ENDPOINT': server.url, 'SECRETS_MANAGER_ENDPOINT': server.url,
                     'STREAM_BASE_URL': stream_url}
        return functions.invoke(TARGET / 'debug' / binary, name, event,
                                variables | endpoints | CREDENTIALS | {'AWS_REGION': REGION})

    server = Cloud(invoke)
    yield server
    server.close()


@pytest.fixture(scope='session')
def session(cloud) -> boto3.Session:
    """Clients for the checks of the tests."""
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=cloud.url)
    return boto3.Session(region_name=REGION)


def local_stack(directory: pathlib.Path, **variables: str):
    """Starts `local`. Returns the process and its ports, once it serves requests."""
    ports = {name: str(free_port()) for name in ('port', 'dynamodb-port', 'stream-port')}
    log = directory / 'local.txt'
    arguments = [text for name, port in ports.items() for text in (f'--{name}', port)]
    with log.open('w') as output:
        process = subprocess.Popen([TARGET / 'debug/local', *arguments], cwd=directory, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment([], **variables))
    with subprocess.Popen(['tail', f'--pid={process.pid}', '-n', '+1', '-f', log], text=True,
                          stdout=subprocess.PIPE) as lines:
        started = any('Ctrl-C' in line for line in lines.stdout)
        lines.kill()
    if not started:
        pytest.fail(f'the local stack did not start:\n{log.read_text()}')
    return process, ports


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    process.wait()


@pytest.fixture(scope='session')
def stream_url(tmp_path_factory):
    """The emulated Stream app of the deployment on AWS."""
    process, ports = local_stack(tmp_path_factory.mktemp('stream'))
    yield f'http://127.0.0.1:{ports["stream-port"]}'
    stop(process)


@pytest.fixture(scope='session')
def shells(project, tools, cloud, stream_url):
    """Opens shells, and closes them at the end."""
    opened = []

    def open_shell() -> Shell:
        variables = {**CREDENTIALS, 'AWS_ENDPOINT_URL': cloud.url, 'AWS_PAGER': '',
                     'SAM_CLI_TELEMETRY': '0', 'STREAM_BASE_URL': stream_url, 'CARGO_TARGET_DIR': str(TARGET),
                     'DYNAMODB_ENDPOINT': cloud.url, 'PYTHONPATH': str(ROOT / 'tests/runbooks/site')}
        opened.append(Shell(project, environment(tools, **variables)))
        return opened[-1]

    yield open_shell
    for shell in opened:
        shell.close()


@pytest.fixture
def operator(request, shells):
    """An operator, who has run all declared commands at the end of the test."""
    operator = Operator(shells())
    yield operator
    declared = set(getattr(request.function, 'declared', []))
    assert declared <= operator.done, f'declared, but not run: {declared - operator.done}'


def secret_value(session: boto3.Session, name: str) -> dict:
    return json.loads(session.client('secretsmanager').get_secret_value(SecretId=name)['SecretString'])
