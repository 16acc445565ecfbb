"""Reads and writes all items of a table, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from restore.items import Delete, Item, Put

BATCH_SIZE = 25
PROGRESS_ITEMS = 10_000


def scan(dynamodb, table: str, log: Callable[[str], None]) -> Iterator[Item]:
    """All items of a table, read consistently."""
    count = 0
    pages = dynamodb.get_paginator('scan').paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        for item in page['Items']:
            count += 1
            if count % PROGRESS_ITEMS == 0:
                log(f'{table}: {count} items read')
            yield item
    log(f'{table}: {count} items read')


class Writer:
    """Writes changes in batches. Batches are repeated until DynamoDB has accepted all of their items."""

    def __init__(self, dynamodb, table: str, sleep: Callable[[float], None]) -> None:
        self._dynamodb, self._table, self._sleep = dynamodb, table, sleep
        self._pending: dict[tuple[str, str], dict] = {}

    def add(self, change: Put | Delete) -> None:
        match change:
            case Put(item):
                # A later change of the same key replaces the earlier one: a batch must not repeat a key.
                self._pending[item['pk']['S'], item['sk']['S']] = {'PutRequest': {'Item': item}}
            case Delete(key):
                self._pending[key] = {'DeleteRequest': {'Key': {'pk': {'S': key[0]}, 'sk': {'S': key[1]}}}}
        if len(self._pending) == BATCH_SIZE:
            self.flush()

    def flush(self) -> None:
        requests, delay = list(self._pending.values()), 0.1
        self._pending = {}
        while requests:
            response = self._dynamodb.batch_write_item(RequestItems={self._table: requests})
            requests = response.get('UnprocessedItems', {}).get(self._table, [])
            if requests:
                self._sleep(delay)
                delay = min(delay * 2, 10)
