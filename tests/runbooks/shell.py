"""An operator's shell: bash, which keeps its variables and functions between the commands of a document."""

import os
import pathlib
import subprocess

from documents import Command


class CommandFailed(AssertionError):
    """A command returned an error, or has no such text."""


class Shell:
    """Each command must succeed, also within a pipe."""

    def __init__(self, directory: pathlib.Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self._files = directory.parent / f'{directory.name}-shell'
        self._files.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            ['bash', '--norc', '--noprofile'], cwd=directory, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        # A document that waits for AWS waits for a stand-in here.
        self._send('set -e -o pipefail; sleep() { :; }')

    def run(self, command: Command | str, *, replace: dict[str, str] | None = None, stdin: str = '') -> str:
        """Runs a command, with the values of this deployment instead of those of the document."""
        text = command.text if isinstance(command, Command) else command
        for old, new in (replace or {}).items():
            if old not in text:
                raise CommandFailed(f'{command} does not contain {old!r}')
            text = text.replace(old, new)
        script, given, out, err = (self._files / name for name in ('script', 'stdin', 'stdout', 'stderr'))
        script.write_text(text)
        given.write_text(stdin)
        # Some commands open /dev/stdout, which truncates a file, so the output passes a pipe.
        status = self._send(f'source {script} <{given} > >(cat >{out}) 2>{err}; status=$?; wait $!; (exit $status)')
        if status != 0:
            raise CommandFailed(f'{command}\n{text}\nexit status {status}\n{out.read_text()}{err.read_text()}')
        return out.read_text()

    def _send(self, line: str) -> int | None:
        """The exit status: 0, or that of the shell, which ends at the first error."""
        try:
            print(f'{line}\necho "status $?"', file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return self._process.wait()
        answer = self._process.stdout.readline()
        return int(answer.split()[1]) if answer.startswith('status ') else self._process.wait()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def environment(path: list[pathlib.Path], **variables: str) -> dict[str, str]:
    """The environment of the machine without AWS settings, and these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('AWS_', 'SAM_', 'STREAM_'))}
    found = os.pathsep.join([*map(str, path), kept['PATH']])
    return kept | variables | {'PATH': found, 'PYTHONDONTWRITEBYTECODE': '1'}
