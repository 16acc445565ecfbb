"""Runs the operations of one SDK and writes the results, as js/runner.mjs does."""

import json
import os
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path


class Operations:
    """The operations of one SDK, in order."""

    def __init__(self, file: str, sdk: str, version: str) -> None:
        self._file = Path(os.environ["RESULTS_DIR"]) / f"{file}.json"
        self._head = {"sdk": sdk, "version": version}
        self._operations = []

    def operation(self, name: str):
        """Registers a function. It gets an `ExitStack`, which is closed after it."""

        def register(function):
            self._operations.append((name, function))
            return function

        return register

    def run(self) -> None:
        only = os.environ.get("ONLY", "")
        selected = [(name, function) for name, function in self._operations if only in name]
        results = [{"name": name, "status": "not run"} for name, _ in selected]
        self._save(results)
        for result, (name, function) in zip(results, selected, strict=True):
            started = time.monotonic()
            try:
                with ExitStack() as scope:
                    function(scope)
                result["status"] = "ok"
            except Exception:
                result["status"] = "failed"
                result["error"] = traceback.format_exc()
            result["millis"] = round((time.monotonic() - started) * 1000)
            word = "ok    " if result["status"] == "ok" else "FAILED"
            print(f"{word} {self._head['sdk']}: {name} ({result['millis']} ms)")
            if "error" in result:
                print(result["error"])
            sys.stdout.flush()
            self._save(results)

    def _save(self, results: list) -> None:
        self._file.write_text(json.dumps({**self._head, "operations": results}, indent=2))
