"""A stack with the resources of template.yaml that a restore concerns, with the same types and table settings.

moto's CloudFormation has no schedules, so the stage creates one beside the stack."""

import json

STACK = 'stream-functions-test'


def template(role: str) -> str:
    function = lambda: {'Type': 'AWS::Lambda::Function', 'Properties': {
        'Role': role, 'Runtime': 'python3.12', 'Handler': 'index.handler', 'Timeout': 29,
        'Code': {'ZipFile': 'def handler(event, context): pass'}}}
    throughput = {'MaxReadRequestUnits': 4000, 'MaxWriteRequestUnits': 2000}
    resources = {
        'Table': {'Type': 'AWS::DynamoDB::Table', 'Properties': {
            'BillingMode': 'PAY_PER_REQUEST',
            'AttributeDefinitions': [{'AttributeName': name, 'AttributeType': kind} for name, kind in
                                     [('pk', 'S'), ('sk', 'S'), ('dueShard', 'S'), ('dueAt', 'N')]],
            'KeySchema': [{'AttributeName': 'pk', 'KeyType': 'HASH'}, {'AttributeName': 'sk', 'KeyType': 'RANGE'}],
            'GlobalSecondaryIndexes': [{
                'IndexName': 'due', 'Projection': {'ProjectionType': 'KEYS_ONLY'}, 'OnDemandThroughput': throughput,
                'KeySchema': [{'AttributeName': 'dueShard', 'KeyType': 'HASH'},
                              {'AttributeName': 'dueAt', 'KeyType': 'RANGE'}]}],
            'OnDemandThroughput': throughput,
            'DeletionProtectionEnabled': True,
            'TimeToLiveSpecification': {'AttributeName': 'ttl', 'Enabled': True},
            'StreamSpecification': {'StreamViewType': 'NEW_AND_OLD_IMAGES'}}},
        'TokenFunction': function(),
        'SweeperFunction': function(),
        'CallHistoryFunction': function(),
        'CallHistoryFunctionTableStream': {'Type': 'AWS::Lambda::EventSourceMapping', 'Properties': {
            'EventSourceArn': {'Fn::GetAtt': ['Table', 'StreamArn']}, 'FunctionName': {'Ref': 'CallHistoryFunction'},
            'StartingPosition': 'TRIM_HORIZON'}},
    }
    return json.dumps({'AWSTemplateFormatVersion': '2010-09-09', 'Resources': resources})
