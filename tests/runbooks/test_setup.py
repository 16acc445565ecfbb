"""docs/SETUP.md, from the Stream app to the first call."""

import json
import re
import tomllib

import pytest
from moto.cloudformation.models import cloudformation_backends

from cloud import ACCOUNT, CONCURRENCY, REGION
from conftest import STREAM_KEY, STREAM_SECRET, Operator, covers, local_stack, secret_value, stop

STREAM_APP = {"STREAM_API_KEY='...'": f"STREAM_API_KEY='{STREAM_KEY}'",
              "STREAM_API_SECRET='...'": f"STREAM_API_SECRET='{STREAM_SECRET}'"}
DEV = 'stream-functions-dev'
ARN = re.compile(rf'arn:aws:secretsmanager:{REGION}:\d+:secret:\S+')


def set_parameters(directory, environment: str, **values: str) -> None:
    """Sets parameters of an environment in samconfig.toml."""
    path = directory / 'samconfig.toml'
    head, section = path.read_text().split(f'[{environment}.deploy.parameters]')
    section, separator, tail = section.partition('\n[')
    for name, value in values.items():
        section, count = re.subn(rf'"{name}=[^"]*"', f'"{name}={value}"', section)
        assert count == 1, f'{environment} has {name} {count} times'
    path.write_text(f'{head}[{environment}.deploy.parameters]{section}{separator}{tail}')


@pytest.fixture
def operator(operator):
    """An operator in the region of the document."""
    operator.run_part('SETUP', '3. Secrets', 0, r'^export AWS_REGION.*?$')
    return operator


@pytest.fixture(scope='module')
def secrets(shells) -> dict[str, str]:
    """The ARNs that the commands print."""
    operator = Operator(shells())
    stream, jwt = ARN.findall(operator.run('SETUP', '3. Secrets', 0, stdin=f'{STREAM_SECRET}\n'))
    return {'StreamSecretArn': stream, 'JwtSecretArn': jwt}


@pytest.fixture(scope='module')
def dev(shells, secrets, session):
    """The stack of the first deployment."""
    operator = Operator(shells())
    operator.run_part('SETUP', '3. Secrets', 0, r'^export AWS_REGION.*?$')
    operator.run_part('SETUP', '4. Deployment', 0, r'^cp .*?$')
    set_parameters(operator.directory, 'dev', StreamApiKey=STREAM_KEY, **secrets)
    output = operator.run_part('SETUP', '4. Deployment', 0, r'^sam build .*')
    assert 'Successfully created/updated stack' in output
    stack, = session.client('cloudformation').describe_stacks(StackName=DEV)['Stacks']
    return stack


@pytest.fixture
def api(secrets, session, tmp_path):
    """The local stack, whose login has the secret that SETUP.md creates."""
    (tmp_path / 'target').mkdir()
    process, ports = local_stack(tmp_path, JWT_SECRET=secret_value(session, 'stream-functions/dev/jwt')['secret'])
    yield f'http://127.0.0.1:{ports["port"]}/api/stream'
    stop(process)


@covers('SETUP', 'Call type and service user', 0)
def test_call_type_and_service_user_are_created_and_checked(operator):
    output = operator.run('SETUP', 'Call type and service user', 0, replace=STREAM_APP)
    assert output.count('private') >= 3
    assert 'fail' not in output.split('ok')[0]


@covers('SETUP', '3. Secrets', 0)
def test_secrets_have_the_form_that_the_functions_read(secrets, session, operator):
    operator.done.add(('SETUP', '3. Secrets', 0))
    assert secret_value(session, secrets['StreamSecretArn']) == {'secret': STREAM_SECRET}
    jwt = secret_value(session, secrets['JwtSecretArn'])['secret']
    assert len(jwt) == 64 and jwt != STREAM_SECRET


@covers('SETUP', '4. Deployment', 0)
def test_first_deployment_creates_the_whole_stack(dev, session, operator):
    operator.done.add(('SETUP', '4. Deployment', 0))
    assert dev['StackStatus'] == 'CREATE_COMPLETE'
    example = tomllib.loads((operator.directory / 'samconfig.toml.example').read_text())
    tags = dict(tag.split('=') for tag in example['dev']['deploy']['parameters']['tags'])
    assert {tag['Key']: tag['Value'] for tag in dev['Tags']} == tags
    parameters = {it['ParameterKey']: it['ParameterValue'] for it in dev['Parameters']}
    assert (parameters['DeletionProtection'], parameters['TableMaxReadUnits']) == ('false', '100')
    assert {it['OutputKey'] for it in dev['Outputs']} >= {'ApiUrl', 'TableName', 'WebhookUrl', 'EventBusArn'}
    functions = session.client('lambda').list_functions()['Functions']
    deployed = [it for it in functions if it['FunctionName'].startswith(f'{DEV}-')]
    assert len(deployed) == len(list((operator.directory / 'functions').glob('*/Cargo.toml')))
    assert len({it['CodeSha256'] for it in deployed}) == len(deployed), 'each function has its own binary'


@covers('SETUP', '4. Deployment', 1)
def test_limit_of_the_account_is_read(operator):
    assert operator.run('SETUP', '4. Deployment', 1).strip() == str(CONCURRENCY)


@covers('SETUP', '4. Deployment', 2)
def test_protected_stack_cannot_be_deleted(dev, session, operator):
    operator.run('SETUP', '4. Deployment', 2, replace={'stream-functions-prod': DEV})
    cloudformation = session.client('cloudformation')
    with pytest.raises(cloudformation.exceptions.ClientError, match='termination protection'):
        cloudformation.delete_stack(StackName=DEV)
    operator.type('aws cloudformation update-termination-protection --no-enable-termination-protection '
                  f'--stack-name {DEV}')


@covers('SETUP', '5. Verification', 0)
@covers('SETUP', '6. First calls', 0)
def test_token_of_the_secret_is_accepted_and_the_first_call_runs(api, operator):
    output = operator.run('SETUP', '5. Verification', 0, replace={
        'https://....execute-api.eu-central-1.amazonaws.com/api/stream': api})
    health, config = map(json.loads, re.findall(r'\{"error".*?\}(?=\{"error"|\s*$)', output, re.S))
    assert health == {'error': False, 'message': 'Healthy'}
    assert config['config']['isConfigured'] and config['config']['checks']['stream'].get('code') is None
    output = operator.run('SETUP', '6. First calls', 0)
    assert '"error":true' not in output and output.count('"error":false') == 6
    assert 'Hello Bob' in output


@covers('SETUP', '7. Register the webhook at Stream', 0)
def test_webhook_is_registered_and_checked(dev, operator):
    url = next(it['OutputValue'] for it in dev['Outputs'] if it['OutputKey'] == 'WebhookUrl')
    output = operator.run('SETUP', '7. Register the webhook at Stream', 0, replace={
        **STREAM_APP, 'https://....execute-api.eu-central-1.amazonaws.com/api/stream/webhook': url})
    assert output.count(url) >= 3


@covers('SETUP', '4. Deployment', 3)
def test_failed_first_deployment_is_cleared(dev, session, operator):
    """The stack has rolled back, and the retained table is left, as after a failed first deployment."""
    backend = cloudformation_backends[ACCOUNT][REGION]
    stack = backend.get_stack(DEV)
    table = next(it['OutputValue'] for it in dev['Outputs'] if it['OutputKey'] == 'TableName')
    stack.status = 'ROLLBACK_COMPLETE'
    session.client('dynamodb').update_table(TableName=table, DeletionProtectionEnabled=True)
    output = operator.run('SETUP', '4. Deployment', 3, replace={f'{DEV}-Table-...': table})
    assert table in output
    assert table not in session.client('dynamodb').list_tables()['TableNames']
    cloudformation = session.client('cloudformation')
    with pytest.raises(cloudformation.exceptions.ClientError, match='does not exist'):
        cloudformation.describe_stacks(StackName=DEV)
