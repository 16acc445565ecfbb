"""The steps of a restore, in order. Each step can be repeated, and a completed step is not."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

from restore import erasures, traffic
from restore.deployment import Clients, Deployment
from restore.progress import Progress
from restore.tables import Tables
from restore.verify import Verification, returned_users, verify


class RestoreError(Exception):
    """The restore cannot go on. Its message says what the operator can do."""


class ActionRequired(Exception):
    """The operator must act before the next run continues."""


@dataclasses.dataclass
class Restore:
    clients: Clients
    deployment: Deployment
    time: datetime.datetime
    progress: Progress
    sleep: Callable[[float], None]
    log: Callable[[str], None]
    accepts_malformed: bool = False

    @property
    def tables(self) -> Tables:
        return Tables(self.clients.dynamodb, self.sleep, self.log)

    @property
    def live(self) -> str:
        return self.deployment.table

    @property
    def restored(self) -> str:
        return f'{self.deployment.table}-restored'

    def run(self) -> None:
        for name, _, action in self.steps():
            if self.progress.is_done(name):
                self.log(f'{name}: done before')
                continue
            self.log(f'{name}: started')
            action()
            self.progress.complete(name)
            self.log(f'{name}: done')

    def steps(self) -> list[tuple[str, str, Callable[[], None]]]:
        functions, schedules = len(self.deployment.functions), len(self.deployment.schedules)
        time = self.time.isoformat()
        return [
            ('stop traffic', f'disable {schedules} schedules, and set the concurrency of {functions} functions to 0',
             self.stop_traffic),
            ('back up', f'create a backup of {self.live} as it is', self.back_up),
            ('restore', f'restore {self.live} as of {time} into {self.restored}', self.restore),
            ('verify', f'check every item of {self.restored}', self.verify),
            ('erase again', f'apply erasures, revocations, states and bans of {self.live} to {self.restored}',
             self.erase_again),
            ('back up the restored table', f'create a backup of {self.restored}', self.back_up_restored),
            ('replace', f'delete {self.live}, and restore that backup under its name', self.replace),
            # Before the settings: with a TTL, DynamoDB deletes the expired items of one of the two tables.
            ('compare', f'compare the items of {self.live} with those of {self.restored}', self.compare),
            ('settings', f'set TTL, recovery, throughput, stream and protection of {self.live}', self.settings),
            ('consumers', "check that the stream's consumers read the new stream", self.check_consumers),
            ('start traffic', 'restore the concurrency of the functions, and enable the schedules', self.start_traffic),
        ]

    def check(self) -> None:
        """Fails if AWS would reject the restore. Changes nothing."""
        if self.progress.is_done('replace') or self.progress.get('replacing'):
            return
        window = self.tables.restorable_window(self.live)
        if window is None:
            raise RestoreError(f'{self.live} has no point-in-time recovery')
        earliest, latest = window
        if not earliest <= self.time <= latest:
            raise RestoreError(f'{self.live} can be restored to {earliest.isoformat()} until {latest.isoformat()}')
        if not self.progress.is_done('back up') and self.tables.describe(self.restored) is not None:
            raise RestoreError(f'the table {self.restored} exists, from another restore: delete it')

    def stop_traffic(self) -> None:
        traffic.stop(self.clients, self.deployment, self.progress, self.sleep, self.log)

    def back_up(self) -> None:
        self.progress.save('settings', self.tables.settings(self.live))
        self._back_up(self.live, 'faulty backup')

    def restore(self) -> None:
        if self.progress.get('has stale copy'):
            self.tables.delete(self.restored)
            self.progress.save('has stale copy', False)
        self.tables.restore_to_time(self.live, self.restored, self.time)

    def verify(self) -> None:
        self._verify(self.restored)

    def erase_again(self) -> None:
        dynamodb = self.clients.dynamodb
        accounts = erasures.read_accounts(dynamodb, self.live, self.log)
        result = erasures.replay_accounts(dynamodb, accounts, self.restored, self.sleep, self.log, is_dry_run=False)
        returned = returned_users(dynamodb, self.restored, accounts, self.log)
        if returned:
            raise RestoreError(f'{len(returned)} erased users are still in {self.restored}: run the command again')
        self.log(f'{result.erased_users} erased users, {result.erased_again} of them erased again, '
                 f'{result.puts} items written, {result.deletes} deleted')
        # The live table may be the faulty one.
        self._verify(self.restored)

    def back_up_restored(self) -> None:
        self._back_up(self.restored, 'correct backup')

    def replace(self) -> None:
        backup = self.progress.get('correct backup')
        # From here on the live table may be absent, or be the new one.
        if not self.progress.get('replacing'):
            self.progress.save('replacing', 'deleting')
        if self.progress.get('replacing') == 'deleting':
            self.tables.delete(self.live)
            self.progress.save('replacing', 'restoring')
        self.tables.restore_backup(backup, self.live)

    def settings(self) -> None:
        self.tables.apply(self.live, self.progress.get('settings'))

    def compare(self) -> None:
        copy, live = self._verify(self.restored), self._verify(self.live)
        if copy.kinds != live.kinds or len(copy.malformed) != len(live.malformed):
            raise RestoreError(f'{self.live} has {live.items} items and {self.restored} {copy.items}')

    def check_consumers(self) -> None:
        stream = self.tables.describe(self.live)['LatestStreamArn']
        sources = {
            mapping: self.clients.lambda_.get_event_source_mapping(UUID=mapping)['EventSourceArn']
            for mapping in self.deployment.mappings
        }
        if self.deployment.pipe:
            sources[self.deployment.pipe] = self.clients.pipes.describe_pipe(Name=self.deployment.pipe)['Source']
        stale = [name for name, source in sources.items() if source != stream]
        if stale:
            raise ActionRequired(
                f'{", ".join(stale)} still read the stream of the deleted table. Deploy with another value of '
                'TableMaxReadUnits, so that CloudFormation replaces them. Then run this command again.')

    def resume_traffic(self) -> None:
        """Starts the traffic without a restore. The live table must be in place."""
        if self.progress.get('replacing') and not self.progress.is_done('settings'):
            raise RestoreError(f'{self.live} is being replaced: complete the restore')
        self.start_traffic()

    def start_traffic(self) -> None:
        traffic.start(self.clients, self.deployment, self.progress, self.log)

    def _back_up(self, table: str, name: str) -> None:
        if self.progress.get(name) is None:
            stamp = self.time.strftime('%Y%m%dT%H%M%SZ')
            arn = self.tables.back_up(table, f'{table}-{name.split()[0]}-{stamp}')
            self.progress.save(name, arn)
        self.log(f'{name}: {self.progress.get(name)}')

    def _verify(self, table: str) -> Verification:
        result = verify(self.clients.dynamodb, table, self.log)
        for line in result.lines():
            self.log(line)
        if result.malformed and not self.accepts_malformed:
            raise RestoreError(f'{len(result.malformed)} items of {table} are malformed. Delete or repair them, '
                               'restore to an earlier time, or accept them with --accept-malformed')
        return result
