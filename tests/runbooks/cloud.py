"""AWS on loopback: moto, with the parts that moto lacks and the operators' commands need.

- CloudFormation: the macro AWS::Serverless, by the translator that AWS runs; pipes, schedules, the HTTP API, and
  termination protection.
- Lambda: the limits of an account, and invocations, which run the built functions.
"""

import json
import os
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda.models import LambdaBackend
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.events.models import Archive
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.pipes.models import pipes_backends
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = 'eu-central-1'
CONCURRENCY = 1000


class HttpApi(CloudFormationModel):
    # moto reads the service from the name of the module.
    __module__ = 'runbooks.apigatewayv2'
    cloudformation_type = staticmethod(lambda: 'AWS::ApiGatewayV2::Api')
    cloudformation_name_type = staticmethod(lambda: 'Name')

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        api = apigatewayv2_backends[account_id][region_name].create_api(
            None, None, '', False, False, resource_name, 'HTTP', '', {}, '')
        resource = cls()
        resource.physical_resource_id = api.api_id
        return resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        apigatewayv2_backends[account_id][region_name].delete_api(resource_name)


class Pipe(CloudFormationModel):
    __module__ = 'runbooks.pipes'
    cloudformation_type = staticmethod(lambda: 'AWS::Pipes::Pipe')
    cloudformation_name_type = staticmethod(lambda: 'Name')

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        settings = cloudformation_json['Properties']
        pipes_backends[account_id][region_name].create_pipe(
            resource_name, settings['Description'], 'RUNNING', settings['Source'], settings['SourceParameters'],
            settings['Enrichment'], None, settings['Target'], settings['TargetParameters'], settings['RoleArn'],
            None, None, None)
        resource = cls()
        resource.physical_resource_id = resource_name
        return resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pipes_backends[account_id][region_name].delete_pipe(resource_name)


class Schedule(CloudFormationModel):
    __module__ = 'runbooks.scheduler'
    cloudformation_type = staticmethod(lambda: 'AWS::Scheduler::Schedule')
    cloudformation_name_type = staticmethod(lambda: 'Name')

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        settings = cloudformation_json['Properties']
        scheduler_backends[account_id][region_name].create_schedule(
            None, None, settings['FlexibleTimeWindow'], 'default', None, resource_name, settings['ScheduleExpression'],
            'UTC', None, settings.get('State', 'ENABLED'), settings['Target'], None)
        resource = cls()
        resource.physical_resource_id = resource_name
        return resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        scheduler_backends[account_id][region_name].delete_schedule('default', resource_name)


class NoManagedPolicies:
    """The translator requests AWS's policies. The template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def apply_macro(template: str, parameters: dict[str, str]) -> str:
    """The template that the macro AWS::Serverless returns."""
    document = yaml_parse(template)
    if 'Transform' not in document:
        return template
    defaults = {name: item.get('Default') for name, item in document.get('Parameters', {}).items()}
    values = {name: value for name, value in (defaults | parameters).items() if value is not None}
    return json.dumps(transform(document, values, NoManagedPolicies()))


def apply(change_set: ChangeSet) -> None:
    """moto applies the resources of a change set. This also applies its outputs and parameters."""
    stack = change_set.stack
    if change_set.change_set_type == 'UPDATE':
        stack.update(change_set.template, change_set.role_arn, change_set.parameters, change_set.tags)
        return
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()
    stack.create_resources()


def install() -> None:
    """Adds the parts to moto."""
    # The translator derives the partition from the region.
    os.environ.setdefault('AWS_DEFAULT_REGION', REGION)
    create_change_set, delete_stack = CloudFormationBackend.create_change_set, CloudFormationBackend.delete_stack

    def read_template(_, url):
        bucket, key = urlsplit(url).path.lstrip('/').split('/', 1)
        return s3_backends[ACCOUNT]['aws'].get_object(bucket, key).value.decode()

    def delete_unprotected(backend, name_or_stack_id):
        if backend.get_stack(name_or_stack_id).enable_termination_protection:
            raise ValidationError(name_or_stack_id, 'the stack has termination protection')
        return delete_stack(backend, name_or_stack_id)

    def create_translated(backend, template, parameters, **named):
        return create_change_set(
            backend, template=apply_macro(template, parameters), parameters=parameters, **named)

    def update_termination_protection(response):
        stack = response.cloudformation_backend.get_stack(response._get_param('StackName'))
        stack.enable_termination_protection = response._get_bool_param('EnableTerminationProtection')
        return ActionResult({'StackId': stack.stack_id})

    CloudFormationBackend.create_change_set = create_translated
    CloudFormationBackend.delete_stack = delete_unprotected
    CloudFormationResponse._get_stack_from_s3_url = read_template
    CloudFormationResponse.update_termination_protection = update_termination_protection
    ChangeSet.apply = apply
    # moto has no object of a resource whose type it does not know.
    Stack.stack_resources = property(lambda stack: [it for it in stack.resource_map.values() if it is not None])
    # The mappings of the stream do not run, so the records stay in the stream.
    LambdaBackend.send_dynamodb_items = lambda *_: False
    Archive.physical_resource_id = property(lambda archive: archive.name)
    parsing.get_model_list.cache_clear()
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()


class QuietHandler(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """A document's output is that of its commands."""


class Cloud:
    """The server."""

    def __init__(self, invoke: Callable[[str, bytes], bytes]) -> None:
        install()
        self._invoke = invoke
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server('127.0.0.1', 0, self._application, threaded=True, request_handler=QuietHandler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _application(self, environ: dict[str, Any], start_response):
        segments = unquote(environ['PATH_INFO']).strip('/').split('/')
        body = None
        if segments[1:] == ['account-settings']:
            body = json.dumps({'AccountLimit': {'ConcurrentExecutions': CONCURRENCY}}).encode()
        elif len(segments) == 4 and (segments[1], segments[3]) == ('functions', 'invocations'):
            length = int(environ.get('CONTENT_LENGTH') or 0)
            body = self._invoke(segments[2], environ['wsgi.input'].read(length))
        if body is None:
            return self._moto(environ, start_response)
        start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
        return [body]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
