"""Backups, restores and settings of tables."""

from __future__ import annotations

import datetime
from collections.abc import Callable

POLL_SECONDS = 30
# A restore takes 20 minutes at least, and hours for a large table.
MAX_WAIT_SECONDS = 24 * 3600

Log = Callable[[str], None]
Sleep = Callable[[float], None]


class TableNotReady(Exception):
    """A table or backup did not reach its state in time."""


class Tables:
    def __init__(self, dynamodb, sleep: Sleep, log: Log) -> None:
        self._dynamodb, self._sleep, self._log = dynamodb, sleep, log

    def describe(self, table: str) -> dict | None:
        try:
            return self._dynamodb.describe_table(TableName=table)['Table']
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return None

    def restorable_window(self, table: str) -> tuple[datetime.datetime, datetime.datetime] | None:
        description = self._dynamodb.describe_continuous_backups(TableName=table)['ContinuousBackupsDescription']
        recovery = description.get('PointInTimeRecoveryDescription', {})
        if recovery.get('PointInTimeRecoveryStatus') != 'ENABLED':
            return None
        return recovery['EarliestRestorableDateTime'], recovery['LatestRestorableDateTime']

    def settings(self, table: str) -> dict:
        """The settings that a restored table lacks. A restore keeps keys, indexes, billing and encryption."""
        description = self._dynamodb.describe_table(TableName=table)['Table']
        ttl = self._dynamodb.describe_time_to_live(TableName=table)['TimeToLiveDescription']
        arn = description['TableArn']
        tags = self._dynamodb.list_tags_of_resource(ResourceArn=arn).get('Tags', [])
        return {
            'ttl_attribute': ttl.get('AttributeName'),
            'stream': description.get('StreamSpecification'),
            'is_protected': description.get('DeletionProtectionEnabled', False),
            'throughput': description.get('OnDemandThroughput'),
            'index_throughput': {index['IndexName']: index['OnDemandThroughput']
                                 for index in description.get('GlobalSecondaryIndexes', [])
                                 if index.get('OnDemandThroughput')},
            # CloudFormation's own tags are set by CloudFormation.
            'tags': [tag for tag in tags if not tag['Key'].startswith('aws:')],
        }

    def back_up(self, table: str, name: str) -> str:
        arn = self._dynamodb.create_backup(TableName=table, BackupName=name)['BackupDetails']['BackupArn']
        self._wait(f'backup {name}', lambda: self._backup_status(arn) == 'AVAILABLE')
        return arn

    def restore_to_time(self, source: str, target: str, time: datetime.datetime) -> None:
        if self.describe(target) is None:
            self._dynamodb.restore_table_to_point_in_time(SourceTableName=source, TargetTableName=target,
                                                          RestoreDateTime=time)
        self.wait_active(target)

    def restore_backup(self, backup_arn: str, target: str) -> None:
        if self.describe(target) is None:
            self._dynamodb.restore_table_from_backup(TargetTableName=target, BackupArn=backup_arn)
        self.wait_active(target)

    def delete(self, table: str) -> None:
        description = self.describe(table)
        if description is None:
            return
        if description.get('DeletionProtectionEnabled'):
            self._dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            self.wait_active(table)
        if description['TableStatus'] != 'DELETING':
            self._dynamodb.delete_table(TableName=table)
        self._wait(f'deletion of {table}', lambda: self.describe(table) is None)

    def apply(self, table: str, settings: dict) -> None:
        """Sets what the table lacks of the settings. DynamoDB changes one setting at a time."""
        current = self.settings(table)
        if settings['ttl_attribute'] and current['ttl_attribute'] != settings['ttl_attribute']:
            self._dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={
                'Enabled': True, 'AttributeName': settings['ttl_attribute']})
        if self.restorable_window(table) is None:
            self._dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={
                'PointInTimeRecoveryEnabled': True})
        updates = [
            ('throughput', {'OnDemandThroughput': settings['throughput']}),
            ('stream', {'StreamSpecification': settings['stream']}),
            ('is_protected', {'DeletionProtectionEnabled': settings['is_protected']}),
        ]
        for name, update in updates:
            if settings[name] and current[name] != settings[name]:
                self._update(table, update)
        for index, throughput in settings['index_throughput'].items():
            if current['index_throughput'].get(index) != throughput:
                self._update(table, {'GlobalSecondaryIndexUpdates': [
                    {'Update': {'IndexName': index, 'OnDemandThroughput': throughput}}]})
        if settings['tags'] and current['tags'] != settings['tags']:
            arn = self._dynamodb.describe_table(TableName=table)['Table']['TableArn']
            self._dynamodb.tag_resource(ResourceArn=arn, Tags=settings['tags'])

    def wait_active(self, table: str) -> None:
        self._wait(f'table {table}', lambda: self._is_active(table))

    def _update(self, table: str, update: dict) -> None:
        self._dynamodb.update_table(TableName=table, **update)
        self.wait_active(table)

    def _is_active(self, table: str) -> bool:
        description = self.describe(table)
        indexes = description.get('GlobalSecondaryIndexes', []) if description else []
        return (description is not None and description['TableStatus'] == 'ACTIVE'
                and all(index.get('IndexStatus', 'ACTIVE') == 'ACTIVE' for index in indexes))

    def _backup_status(self, arn: str) -> str:
        description = self._dynamodb.describe_backup(BackupArn=arn)['BackupDescription']
        return description['BackupDetails']['BackupStatus']

    def _wait(self, subject: str, is_ready: Callable[[], bool]) -> None:
        waited = 0
        while not is_ready():
            if waited >= MAX_WAIT_SECONDS:
                raise TableNotReady(f'{subject} is not ready after {waited // 3600} hours')
            if waited % 300 == 0:
                self._log(f'waiting for {subject} ({waited // 60} min)')
            self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS
