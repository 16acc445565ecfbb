"""Stops and starts all functions of a deployment."""

from __future__ import annotations

from collections.abc import Callable

from restore.deployment import Clients, Deployment
from restore.progress import Progress

SCHEDULE_SETTINGS = ('Name', 'GroupName', 'ScheduleExpression', 'ScheduleExpressionTimezone', 'FlexibleTimeWindow',
                     'Target', 'Description', 'StartDate', 'EndDate', 'KmsKeyArn', 'ActionAfterCompletion')


class AlreadyStopped(Exception):
    """A function was stopped before this restore, so its reservation is unknown."""


def stop(clients: Clients, deployment: Deployment, progress: Progress, sleep: Callable[[float], None],
         log: Callable[[str], None]) -> None:
    """Disables the schedules, and lets no function start. Returns when no invocation is running."""
    for schedule in deployment.schedules:
        set_schedule_state(clients, schedule, 'DISABLED')
    timeout = 0
    for function in deployment.functions:
        # Saved before the change, so that a repeat does not save the 0 of an interrupted run.
        reservations = progress.get('reservations', {})
        if function not in reservations:
            current = clients.lambda_.get_function_concurrency(FunctionName=function)
            reserved = current.get('ReservedConcurrentExecutions')
            if reserved == 0:
                raise AlreadyStopped(f'{function} is stopped, and the state file lacks its reservation before that. '
                                     'Use the file of the first run, or set the reservation by hand')
            progress.save('reservations', {**reservations, function: reserved})
        clients.lambda_.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        timeout = max(timeout, clients.lambda_.get_function_configuration(FunctionName=function)['Timeout'])
    log(f'{len(deployment.functions)} functions stopped; waiting {timeout} s for running invocations')
    sleep(timeout)


def start(clients: Clients, deployment: Deployment, progress: Progress, log: Callable[[str], None]) -> None:
    """Sets the reservations that `stop` has saved, and enables the schedules."""
    for function in deployment.functions:
        reservation = progress.get('reservations', {}).get(function)
        if reservation is None:
            clients.lambda_.delete_function_concurrency(FunctionName=function)
        else:
            clients.lambda_.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=reservation)
    for schedule in deployment.schedules:
        set_schedule_state(clients, schedule, 'ENABLED')
    log(f'{len(deployment.functions)} functions and {len(deployment.schedules)} schedules started')


def set_schedule_state(clients: Clients, physical_id: str, state: str) -> None:
    """The API replaces a schedule as a whole, so all its settings are sent back."""
    group, _, name = physical_id.rpartition('|')
    arguments = {'Name': name or physical_id, **({'GroupName': group} if group else {})}
    schedule = clients.scheduler.get_schedule(**arguments)
    settings = {name: schedule[name] for name in SCHEDULE_SETTINGS if name in schedule}
    clients.scheduler.update_schedule(**settings, State=state)
