"""The state of a restore, in a file: a repeat of the command continues where the last one stopped."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import tempfile


class StateMismatch(Exception):
    """The file belongs to another restore."""


# The steps and values of a stopped deployment, which a restore to another time keeps.
STOPPED_STEPS = ('stop traffic', 'back up')
STOPPED_VALUES = ('reservations', 'settings', 'faulty backup')


class Progress:
    def __init__(self, path: pathlib.Path, target: dict) -> None:
        self._path = path
        self._data = {'target': target, 'done': [], 'saved': {}}
        if path.exists():
            self._data = self._load(target)

    def _load(self, target: dict) -> dict:
        data = json.loads(self._path.read_text())
        if data['target'] == target:
            return data
        if {**data['target'], 'to': target['to']} != target:
            raise StateMismatch(f'{self._path} belongs to another restore: {data["target"]}. Use another --state.')
        if data['saved'].get('replacing'):
            raise StateMismatch(f'{self._path}: the table is being replaced by its state of {data["target"]["to"]}. '
                                'Complete that restore first.')
        # Another time: the deployment stays stopped, and its reservations are those before the stop.
        saved = {name: value for name, value in data['saved'].items() if name in STOPPED_VALUES}
        saved['has stale copy'] = True
        return {'target': target, 'done': [step for step in data['done'] if step in STOPPED_STEPS], 'saved': saved}

    @classmethod
    def open(cls, path: pathlib.Path) -> Progress:
        """The progress in an existing file."""
        return cls(path, json.loads(path.read_text())['target'])

    @property
    def time(self) -> datetime.datetime:
        """The time to restore."""
        return datetime.datetime.fromisoformat(self._data['target']['to'])

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
