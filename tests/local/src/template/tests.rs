use serde_json::json;

use super::*;

const TEMPLATE: &str = r#"
Parameters:
  Secret: {Type: String, NoEcho: true, Default: ''}
Rules:
  Differ:
    Assertions:
      - Assert: !Not [!Equals [!Ref Secret, !Ref Other]]
Globals:
  Function:
    Timeout: 10
    Environment:
      Variables:
        JWT_SECRET: !Ref Secret
        TABLE_NAME: !Ref Table
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: dueAt, AttributeType: N}
      KeySchema:
        - {AttributeName: pk, KeyType: HASH}
      GlobalSecondaryIndexes:
        - {IndexName: due, OnDemandThroughput: {MaxReadRequestUnits: !Ref Most}}
      OnDemandThroughput: {MaxReadRequestUnits: !Ref Most}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
      SSESpecification: {SSEEnabled: true}
  EndRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: call-end
          PolicyDocument:
            Statement:
              - {Effect: Allow, Action: dynamodb:UpdateItem, Resource: !GetAtt Table.Arn}
              - {Effect: Allow, Action: logs:PutLogEvents, Resource: !GetAtt EndLog.Arn}
  EndFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/call-end/
      Role: !GetAtt EndRole.Arn
      MemorySize: 512
      Timeout: 15
      Environment:
        Variables:
          UNKNOWN_USERS: reject
      Events:
        Route:
          Type: HttpApi
          Properties: {ApiId: !Ref Api, Method: post, Path: /api/stream/call/end}
        Delete:
          Type: HttpApi
          Properties:
            ApiId: !Sub '${Api}'
            Method: DELETE
            Path: '/api/stream/call/{callId}'
  SweeperFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/sweeper
      Policies:
        - Statement:
            - {Effect: Allow, Action: [dynamodb:Query], Resource: !Sub '${Table.Arn}/index/due'}
            - {Effect: Allow, Action: [dynamodb:Scan, sqs:SendMessage], Resource: '*'}
      Events:
        Minute:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: rate(1 minute)
            Input: '{"task":"sweep"}'
            RetryPolicy: {MaximumRetryAttempts: 0}
        Hour:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 hour), Input: '{"task":"reconcile"}'}
Outputs:
  Url:
    Value: !Sub https://${Api}.execute-api.${AWS::Region}.amazonaws.com
"#;

#[test]
fn function_properties_override_globals() {
    let template = Template::parse(TEMPLATE).unwrap();
    let [end, sweeper] = template.functions.as_slice() else { panic!("two functions") };

    assert_eq!(end.name, "call-end");
    assert_eq!(end.routes, ["DELETE /api/stream/call/{callId}", "POST /api/stream/call/end"]);
    assert!(end.schedules.is_empty());
    assert_eq!(end.timeout, Duration::from_secs(15));
    assert_eq!(end.memory_mb, 512);
    assert!(end.variables.iter().eq(["JWT_SECRET", "TABLE_NAME", "UNKNOWN_USERS"]));

    assert_eq!(sweeper.name, "sweeper");
    assert!(sweeper.routes.is_empty());
    let schedule =
        |every: Duration, task: &str| Schedule { interval: every, input: json!({"task": task}) };
    let hour = schedule(Duration::from_hours(1), "reconcile");
    let minute = schedule(Duration::from_mins(1), "sweep");
    assert_eq!(sweeper.schedules, [hour, minute]);
    assert_eq!(sweeper.timeout, Duration::from_secs(10));
    assert_eq!(sweeper.memory_mb, DEFAULT_MEMORY_MB);
    assert!(sweeper.variables.iter().eq(["JWT_SECRET", "TABLE_NAME"]));
}

#[test]
fn function_actions_come_from_its_policies() {
    let template = Template::parse(TEMPLATE).unwrap();
    let [end, sweeper] = template.functions.as_slice() else { panic!("two functions") };
    assert!(end.actions.iter().eq(&[TableAction::new("UpdateItem", false)]));
    assert!(
        sweeper
            .actions
            .iter()
            .eq(&[TableAction::new("Query", true), TableAction::new("Scan", false)])
    );
    for (action, expected) in [("*", "Allow *"), ("dynamodb:*", "Allow *")] {
        let text = TEMPLATE.replace("dynamodb:UpdateItem", &format!("'{action}'"));
        let parsed = Template::parse(&text).map(|_| ());
        let message = parsed.err().map(|error| error.to_string());
        // `*` alone names no service, and is skipped.
        assert_eq!(
            message.is_some_and(|message| message.contains(expected)),
            action != "*",
            "{action}"
        );
    }
}

#[test]
fn table_becomes_dynamodb_requests() {
    let table = Template::parse(TEMPLATE).unwrap().table;
    assert_eq!(
        table.create_table_request("t", true),
        json!({
            "TableName": "t",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "dueAt", "AttributeType": "N"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{"IndexName": "due"}],
        })
    );
    assert_eq!(
        table.update_time_to_live_request("t"),
        Some(json!({
            "TableName": "t",
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true},
        }))
    );
}

#[test]
fn invalid_template_names_the_problem() {
    let cases = [
        ("Resources: {}", "must have exactly one table, but has 0"),
        ("Resources: {F: {Type: 'AWS::Serverless::Function'}}", "F: "),
        (
            "Resources: {F: {Type: 'AWS::Serverless::Function', \
             Properties: {CodeUri: f, Role: !GetAtt F.Arn}}}",
            "F: Role must be a role of the template",
        ),
        ("Resources: [", "invalid YAML: "),
        ("Other: {}", "invalid template: missing field `Resources`"),
    ];
    for (text, expected) in cases {
        let Err(error) = Template::parse(text) else { panic!("{text} was accepted") };
        assert!(error.to_string().starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn unsupported_event_types_are_rejected() {
    let cases = [
        ("{Type: HttpApi, Properties: {Method: GET}}", "missing field `Path`"),
        ("{Type: HttpApi, Properties: {Method: GET, Path: '/{a+}'}}", "greedy paths"),
        ("{Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}", "missing field"),
        ("{Type: Schedule, Properties: {Schedule: rate(1 minute)}}", "Schedule is not supported"),
        ("{Type: SQS}", "SQS is not supported"),
    ];
    for (event, problem) in cases {
        let text = format!(
            "Resources: {{F: {{Type: 'AWS::Serverless::Function', \
             Properties: {{CodeUri: f, Events: {{E: {event}}}}}}}}}"
        );
        let Err(error) = Template::parse(&text) else { panic!("{text} was accepted") };
        let expected = format!("F: event E: {problem}");
        assert!(error.to_string().starts_with(&expected), "{event}: {error}");
    }
}

#[test]
fn project_template_is_parsed() {
    let template = Template::load().unwrap();
    assert!(!template.functions.is_empty());
    for function in template.functions {
        let enriches = template.pipes.iter().any(|pipe| pipe.enrichment == function.name);
        // A function that enriches events needs no table.
        assert!(enriches || function.variables.contains("TABLE_NAME"), "{function:?}");
        let has_trigger = !function.routes.is_empty()
            || !function.schedules.is_empty()
            || !function.stream_mappings.is_empty();
        assert!(enriches || has_trigger, "{function:?}");
    }
}

/// A table with a stream, a function that reads it, and a pipe to a bus.
const STREAM_TEMPLATE: &str = "
Conditions:
  CallEventsEnabled: !Equals [!Ref CallEvents, 'true']
Resources:
  Archive:
    Type: AWS::Events::Archive
    Condition: CallEventsEnabled
    Properties: {SourceArn: !GetAtt Bus.Arn, RetentionDays: 30}
  Bus:
    Type: AWS::Events::EventBus
    Condition: CallEventsEnabled
    Properties: {Name: !Ref AWS::StackName}
  EventLetters: {Type: AWS::SQS::Queue, Condition: CallEventsEnabled}
  HistoryLetters: {Type: AWS::SQS::Queue, Properties: {MessageRetentionPeriod: 1209600}}
  HistoryRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - Effect: Allow
                Action: [dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator]
                Resource: !GetAtt Table.StreamArn
              - {Effect: Allow, Action: dynamodb:ListStreams, Resource: !Sub '${Table.Arn}/stream/*'}
              - {Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Table.Arn}
  HistoryFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/call-history/
      Role: !GetAtt HistoryRole.Arn
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Table.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 10
            DestinationConfig:
              OnFailure: {Type: SQS, Destination: !GetAtt HistoryLetters.Arn}
  Pipe:
    Type: AWS::Pipes::Pipe
    Condition: CallEventsEnabled
    Properties:
      RoleArn: !GetAtt PipeRole.Arn
      Source: !GetAtt Table.StreamArn
      SourceParameters:
        DynamoDBStreamParameters:
          StartingPosition: TRIM_HORIZON
          BatchSize: 2
          MaximumRetryAttempts: 5
          DeadLetterConfig: {Arn: !GetAtt EventLetters.Arn}
      Enrichment: !GetAtt ZEventsFunction.Arn
      Target: !GetAtt Bus.Arn
      TargetParameters:
        EventBridgeEventBusParameters: {DetailType: $.type, Source: $.source, Time: $.time}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema:
        - {AttributeName: pk, KeyType: HASH}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  ZEventsFunction:
    Type: AWS::Serverless::Function
    Condition: CallEventsEnabled
    Properties: {CodeUri: functions/call-events/}
";

#[test]
fn stream_consumers_are_parsed() {
    let template = Template::parse(STREAM_TEMPLATE).unwrap();
    let [history, events] = template.functions.as_slice() else { panic!("two functions") };
    let [mapping] = history.stream_mappings.as_slice() else { panic!("one mapping") };
    assert_eq!(mapping.settings.dead_letter_queue.as_deref(), Some("HistoryLetters"));
    assert!(events.stream_mappings.is_empty());
    // The mapping reads the stream, and not the function.
    assert!(history.actions.iter().eq(&[TableAction::new("PutItem", false)]));

    let [pipe] = template.pipes.as_slice() else { panic!("one pipe") };
    assert_eq!((pipe.name.as_str(), pipe.enrichment.as_str()), ("Pipe", "call-events"));
    assert_eq!(pipe.settings.dead_letter_queue.as_deref(), Some("EventLetters"));
    let bus = template.event_bus.unwrap();
    assert_eq!(bus.archive_retention, Some(Duration::from_hours(30 * 24)));
    assert_eq!(template.queues, ["EventLetters", "HistoryLetters"]);
}

#[test]
fn stack_without_call_events_keeps_the_other_consumers() {
    let template = Template::parse_with(STREAM_TEMPLATE, false).unwrap();
    let [history] = template.functions.as_slice() else { panic!("one function") };
    assert_eq!(history.stream_mappings.len(), 1);
    assert!(template.pipes.is_empty() && template.event_bus.is_none());
    assert_eq!(template.queues, ["HistoryLetters"]);
}

#[test]
fn stream_of_the_table_is_optional() {
    let table = Template::parse(STREAM_TEMPLATE).unwrap().table;
    let specification = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    let request = table.create_table_request("t", true);
    assert_eq!(request["StreamSpecification"], specification);
    assert_eq!(table.create_table_request("t", false).get("StreamSpecification"), None);
    let without_stream = Template::parse(TEMPLATE).unwrap().table;
    assert_eq!(without_stream.create_table_request("t", true).get("StreamSpecification"), None);
}

#[test]
fn invalid_stream_consumer_names_its_resource() {
    for (from, to, problem) in [
        ("DetailType: $.type", "Detail: $.type", "Pipe: unknown field `Detail`"),
        ("Target: !GetAtt Bus.Arn", "Target: !GetAtt Table.Arn", "Pipe: Target must be"),
        ("RetentionDays: 30", "Pattern: {}", "Archive: unknown field `Pattern`"),
        ("{Name: !Ref AWS::StackName}", "{Policy: x}", "Bus: the property Policy"),
        (
            "StartingPosition: TRIM_HORIZON\n            Max",
            "StartingPosition: LATEST\n            Max",
            "HistoryFunction: event Changes: the starting position LATEST",
        ),
    ] {
        let text = STREAM_TEMPLATE.replace(from, to);
        assert_ne!(text, STREAM_TEMPLATE, "{from}");
        let Err(error) = Template::parse(&text) else { panic!("{to} was accepted") };
        assert!(error.to_string().starts_with(problem), "{to}: {error}");
    }
}

#[test]
fn stack_has_one_event_bus_and_one_archive() {
    const SECOND_BUS: &str = "\n  OtherBus: {Type: AWS::Events::EventBus}\n";
    const SECOND_ARCHIVE: &str =
        "\n  Other: {Type: AWS::Events::Archive, Properties: {SourceArn: !GetAtt Bus.Arn}}\n";
    for (resource, problem) in [
        (SECOND_BUS, "OtherBus: a second event bus is not supported"),
        (SECOND_ARCHIVE, "Other: a second archive is not supported"),
    ] {
        let text = format!("{}{resource}", STREAM_TEMPLATE.trim_end());
        let Err(error) = Template::parse(&text) else { panic!("{resource} was accepted") };
        assert_eq!(error.to_string(), problem);
    }
}
