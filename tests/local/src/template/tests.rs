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
        table.create_table_request("t"),
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
        assert!(function.variables.contains("TABLE_NAME"), "{function:?}");
        let has_trigger = !function.routes.is_empty() || !function.schedules.is_empty();
        assert!(has_trigger, "{function:?}");
    }
}
