"""The stand-in for cargo: `cargo run` runs the package of this repository, and `cargo lambda build`, which compiles for
minutes, writes binaries of some bytes. The real commands check the options."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A test writes it, so that two builds differ.
VERSION = pathlib.Path('VERSION')


def build(options: list[str]) -> int:
    version = VERSION.read_text() if VERSION.exists() else ''
    built, state = pathlib.Path('target/lambda/built'), ' '.join([version, *options])
    if built.exists() and built.read_text() == state:
        return 0
    documented = subprocess.run(['cargo-lambda', 'lambda', 'build', '--help'], check=True, capture_output=True, text=True)
    for option in options:
        if option.startswith('--') and not re.search(rf'(?<![\w-]){option}(?![\w-])', documented.stdout):
            print(f'error: unexpected argument {option}', file=sys.stderr)
            return 2
    for manifest in pathlib.Path('functions').glob('*/Cargo.toml'):
        package = pathlib.Path('target/lambda') / manifest.parent.name
        package.mkdir(parents=True, exist_ok=True)
        (package / 'bootstrap').write_text(f'the function {package.name} {version}')
    built.write_text(state)
    return 0


def run(arguments: list[str]) -> int:
    stand_in = os.path.dirname(shutil.which('cargo'))
    path = os.pathsep.join(folder for folder in os.environ['PATH'].split(os.pathsep) if folder != stand_in)
    command = [shutil.which('cargo', path=path), 'run', '--quiet', '--locked', '--manifest-path', ROOT / 'Cargo.toml']
    return subprocess.run([*command, *arguments], env=os.environ | {'PATH': path}).returncode


if __name__ == '__main__':
    match sys.argv[1:]:
        case ['lambda', 'build', *options]:
            sys.exit(build(options))
        case ['run', *arguments]:
            sys.exit(run(arguments))
        case arguments:
            sys.exit(f'the stand-in for cargo has no {arguments}')
