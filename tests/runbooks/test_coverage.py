"""Every command of the documents is run by a test, or is listed here with the reason why not."""

import subprocess

import pytest

# The modules declare the commands that they run.
import test_operations  # noqa: F401
import test_setup  # noqa: F401
from conftest import COMMANDS, COVERED
from documents import parse

NOT_RUN = {
    ('SETUP', 'Setup', 'cargo run -p local'): 'the fixtures start this binary',
    ('SETUP', '4. Deployment', 'sam build'): 'a name, not a command to type; the block above it has it',
    ('SETUP', '4. Deployment', 'sam deploy --guided'): 'a warning against it',
    ('SETUP', '4. Deployment', 'sam build --parallel'): 'a warning against it',
    ('OPERATIONS', 'Deploy', 'sam build'): 'a name, not a command to type; the block above it has it',
    ('OPERATIONS', 'Deploy', 'sam deploy'): 'a name, not a command to type; the block above it has it',
    ('OPERATIONS', 'Another region', 'aws backup start-restore-job'):
        'moto has no restores of AWS Backup; the document says that the way has not been tried. '
        'test_options_of_commands_that_are_not_run checks the name',
    ('EVENTS', 'Local events', 0): 'a client of the local stack, not of a deployment',
    ('EVENTS', 'Local events', 1): 'a client of the local stack, not of a deployment',
    ('EVENTS', 'Local events', 2): 'a client of the local stack, not of a deployment',
    ('EVENTS', 'Local events', 'cargo run -p local'): 'the fixtures start this binary',
}


def test_every_command_is_run_or_listed():
    unknown = {str(COMMANDS[key]): COMMANDS[key].text for key in COMMANDS.keys() - COVERED.keys() - NOT_RUN.keys()}
    assert not unknown, 'commands without a test'
    gone = (COVERED.keys() | NOT_RUN.keys()) - COMMANDS.keys()
    assert not gone, 'the documents have no such command'
    assert not COVERED.keys() & NOT_RUN.keys(), 'a command that is run needs no reason'


def test_commands_are_found_in_blocks_and_sentences():
    text = '# Title\n\nRun `sam build`, then `aws sqs purge-queue\n--queue-url x`; `sam` and `TableName` are names.\n' \
           '```json\n{}\n```\n  ```sh\n  ls \\\n    -l\n  ```\n## Next\n```sh\npwd\n```\n'
    found = [(command.heading, command.name, command.text, command.line) for command in parse('SETUP', text)]
    assert found == [
        ('Title', 0, 'ls \\\n  -l\n', 9),
        ('Title', 'sam build', 'sam build', 3),
        ('Title', 'aws sqs purge-queue --queue-url x', 'aws sqs purge-queue --queue-url x', 3),
        ('Next', 0, 'pwd\n', 14),
    ]


@pytest.mark.parametrize('command', ['aws backup start-restore-job'])
def test_options_of_commands_that_are_not_run(operator, command):
    assert '"RecoveryPointArn"' in operator.type(f'{command} --generate-cli-skeleton')
