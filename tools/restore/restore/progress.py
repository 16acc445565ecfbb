"""The state of a restore, in a file: a repeat of the command continues where the last one stopped."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile


class StateMismatch(Exception):
    """The file belongs to another restore."""


class Progress:
    def __init__(self, path: pathlib.Path, target: dict) -> None:
        self._path = path
        self._data = {'target': target, 'done': [], 'saved': {}}
        if path.exists():
            self._data = json.loads(path.read_text())
            if self._data['target'] != target:
                raise StateMismatch(f'{path} belongs to another restore: {self._data["target"]}. Use another --state.')

    def is_done(self, step: str) -> bool:
        return step in self._data['done']

    def complete(self, step: str) -> None:
        self._data['done'].append(step)
        self._write()

    def get(self, name: str, default=None):
        return self._data['saved'].get(name, default)

    def save(self, name: str, value) -> None:
        self._data['saved'][name] = value
        self._write()

    def _write(self) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent or '.', prefix=self._path.name)
        with os.fdopen(descriptor, 'w') as file:
            json.dump(self._data, file, indent=2)
        os.replace(temporary, self._path)
