"""The commands of the documents for operators."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ('SETUP', 'OPERATIONS', 'MIGRATION', 'DATA', 'EVENTS')

FENCE = re.compile(r'^( *)```(\w*)$')
SHELL = {'sh', 'bash', 'shell', 'console'}
# The first word of a command in the text. A name alone, such as `sam build`, describes the command.
COMMAND = re.compile(r'(?:aws|cargo run|eval|gh|make|npm|output|pip|printf|put|python3|resource|sam|tools/\S+)\s.*\S', re.S)


@dataclasses.dataclass(frozen=True)
class Command:
    """A fenced block, or a command within a sentence."""

    document: str
    heading: str
    # The position among the blocks of the heading. A command within a sentence is identified by its text.
    name: int | str
    text: str
    line: int

    @property
    def key(self) -> tuple[str, str, int | str]:
        return self.document, self.heading, self.name

    def __str__(self) -> str:
        return f'docs/{self.document}.md:{self.line} ({self.heading})'


def commands() -> dict[tuple[str, str, int | str], Command]:
    """All commands of the documents, by document, heading and name."""
    found = [command for document in DOCUMENTS for command in parse(document)]
    return {command.key: command for command in found}


def parse(document: str, text: str | None = None) -> list[Command]:
    text = (ROOT / 'docs' / f'{document}.md').read_text() if text is None else text
    found, heading, count = [], '', 0
    block: list[str] | None = None
    indent, is_shell, start = 0, False, 0
    prose: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and block is None:
            block, indent, is_shell, start = [], len(fence[1]), fence[2] in SHELL, number + 1
        elif fence:
            if is_shell:
                found.append(Command(document, heading, count, '\n'.join(block) + '\n', start))
                count += 1
            block = None
        elif block is not None:
            block.append(line[indent:])
        elif line.startswith('#'):
            found += spans(document, heading, prose)
            heading, count, prose = line.lstrip('# '), 0, []
        else:
            prose.append((number, line))
    return found + spans(document, heading, prose)


def spans(document: str, heading: str, prose: list[tuple[int, str]]) -> list[Command]:
    """The commands within sentences. A span can continue on the next line."""
    text = '\n'.join(line for _, line in prose)
    found: dict[str, Command] = {}
    for span in re.finditer(r'`([^`]+)`', text):
        command = ' '.join(span[1].split())
        if COMMAND.fullmatch(command):
            line = prose[text[:span.start()].count('\n')][0]
            found.setdefault(command, Command(document, heading, command, command, line))
    return list(found.values())
