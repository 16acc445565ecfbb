//! The variables of a function's process: those that its template entry names, and no others.
//!
//! So a function that reads a variable outside its template entry fails locally as on Lambda. The
//! values come from the stack or from [`Options::env`]. A variable without a value is not set.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::options::{
    JWT_SECRET, JWT_SECRET_ARN, Options, STREAM_API_KEY, STREAM_API_SECRET, STREAM_SECRET_ARN,
    StreamChoice, UserLimits,
};
use crate::secrets::SecretStore;
use crate::template::Function;

/// Variables for local use that no template entry names. A function gets the left one if its
/// template entry names the right one.
const LOCAL_VARIABLES: [(&str, &str); 3] = [
    ("STREAM_BASE_URL", "STREAM_API_KEY"),
    ("DYNAMODB_ENDPOINT", "TABLE_NAME"),
    ("SECRETS_MANAGER_ENDPOINT", "STREAM_SECRET_ARN"),
];

/// Secrets by their ARN variables. If the ARN variable has no value, the function gets the
/// variables on the right instead.
const SECRET_VARIABLES: [(&str, [&str; 2]); 2] = [
    ("STREAM_SECRET_ARN", ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"]),
    ("JWT_SECRET_ARN", ["JWT_SECRET", "JWT_SECRET_PREVIOUS"]),
];

/// The variables for the rate limits of a user; 0 disables the limit.
const USER_LIMIT_VARIABLES: [&str; 7] = [
    "LIMIT_CALL_CREATE_PER_MINUTE",
    "LIMIT_CALL_QUALITY_PER_MINUTE",
    "LIMIT_MESSAGE_SEND_PER_MINUTE",
    "LIMIT_QUALITY_REPORT_PER_MINUTE",
    "LIMIT_TOKEN_PER_MINUTE",
    "LIMIT_TOKEN_REVOKE_PER_MINUTE",
    "LIMIT_USER_UPSERT_PER_MINUTE",
];

/// The values of all variables of the stack.
pub(crate) fn stack_variables(
    options: &Options,
    stream_url: Option<String>,
    dynamo_url: &str,
    table: &str,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([
        ("JWT_SECRET".to_owned(), JWT_SECRET.to_owned()),
        ("TABLE_NAME".to_owned(), table.to_owned()),
        ("DYNAMODB_ENDPOINT".to_owned(), dynamo_url.to_owned()),
    ]);
    let credentials = match &options.stream {
        StreamChoice::Emulated => Some((STREAM_API_KEY, STREAM_API_SECRET)),
        StreamChoice::Real { key, secret } => Some((key.as_str(), secret.as_str())),
        StreamChoice::Unconfigured => None,
    };
    if let Some((key, secret)) = credentials {
        values.insert("STREAM_API_KEY".to_owned(), key.to_owned());
        values.insert("STREAM_API_SECRET".to_owned(), secret.to_owned());
    }
    if let Some(url) = stream_url {
        values.insert("STREAM_BASE_URL".to_owned(), url);
    }
    if options.user_limits == UserLimits::Disabled {
        values.extend(USER_LIMIT_VARIABLES.map(|name| (name.to_owned(), "0".to_owned())));
    }
    values.extend(options.env.clone());
    values
}

/// Moves the secrets to Secrets Manager, and sets their ARNs.
pub(crate) fn store_secrets(values: &mut BTreeMap<String, String>, store: &SecretStore) {
    values.insert("SECRETS_MANAGER_ENDPOINT".to_owned(), store.url().to_owned());
    for (name, [current, previous], arn) in [
        (SECRET_VARIABLES[0].0, SECRET_VARIABLES[0].1, STREAM_SECRET_ARN),
        (SECRET_VARIABLES[1].0, SECRET_VARIABLES[1].1, JWT_SECRET_ARN),
    ] {
        if let Some(secret) = values.get(current) {
            store.put(arn, &json!({"secret": secret, "previous": values.get(previous)}));
            values.insert(name.to_owned(), arn.to_owned());
        }
    }
}

/// The variable that sets a process's clock offset. It is for local use only, and not set without
/// an offset.
pub(crate) fn clock_variable(ahead: Duration) -> Option<(&'static str, String)> {
    (!ahead.is_zero()).then(|| ("CLOCK_AHEAD_SECONDS", ahead.as_secs().to_string()))
}

/// The variables of one function.
pub(crate) fn function_variables(
    function: &Function,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let names = &function.variables;
    let local =
        LOCAL_VARIABLES.iter().filter(|(_, with)| names.contains(*with)).map(|&(name, _)| name);
    let is_passed_directly = |arn: &str| names.contains(arn) && !values.contains_key(arn);
    let secrets = SECRET_VARIABLES
        .iter()
        .filter(|(arn, _)| is_passed_directly(arn))
        .flat_map(|&(_, plain)| plain);
    names
        .iter()
        .map(String::as_str)
        .chain(local)
        .chain(secrets)
        .filter_map(|name| Some((name.to_owned(), values.get(name)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::template::Template;

    fn function(declared: &[&str]) -> Function {
        Function {
            name: "f".to_owned(),
            routes: Vec::new(),
            schedules: Vec::new(),
            stream_mappings: Vec::new(),
            timeout: Duration::from_secs(1),
            memory_mb: 128,
            variables: declared.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(),
            actions: BTreeSet::new(),
        }
    }

    fn variable_names(options: &Options, declared: &[&str]) -> Vec<String> {
        let values =
            stack_variables(options, Some("http://stream".to_owned()), "http://dynamo", "table");
        function_variables(&function(declared), &values).into_keys().collect()
    }

    #[test]
    fn function_receives_only_declared_variables_with_values() {
        let mut options = Options::default();
        options.env.insert("LOG_LEVEL".to_owned(), "debug".to_owned());
        assert_eq!(variable_names(&options, &["JWT_SECRET_ARN", "JWT_ISSUER"]), ["JWT_SECRET"]);
        assert_eq!(variable_names(&options, &["STREAM_SECRET_ARN"]), ["STREAM_API_SECRET"]);
        assert_eq!(variable_names(&options, &["LOG_LEVEL"]), ["LOG_LEVEL"]);
        assert_eq!(variable_names(&options, &["TABLE_NAME"]), ["DYNAMODB_ENDPOINT", "TABLE_NAME"]);
        assert_eq!(
            variable_names(&options, &["STREAM_API_KEY"]),
            ["STREAM_API_KEY", "STREAM_BASE_URL"]
        );
        assert!(variable_names(&options, &[]).is_empty());
    }

    #[tokio::test]
    async fn stored_secrets_are_passed_as_arns() {
        let store = SecretStore::start().await.unwrap();
        let mut values = stack_variables(&Options::default(), None, "http://dynamo", "table");
        store_secrets(&mut values, &store);
        let names: Vec<_> =
            function_variables(&function(&["STREAM_SECRET_ARN", "JWT_SECRET_ARN"]), &values)
                .into_keys()
                .collect();
        assert_eq!(names, ["JWT_SECRET_ARN", "SECRETS_MANAGER_ENDPOINT", "STREAM_SECRET_ARN"]);
        store.stop().await;
    }

    #[test]
    fn clock_variable_is_set_only_after_advance() {
        assert_eq!(clock_variable(Duration::ZERO), None);
        let variable = clock_variable(Duration::from_mins(90));
        assert_eq!(variable, Some(("CLOCK_AHEAD_SECONDS", "5400".to_owned())));
    }

    #[test]
    fn unconfigured_stream_sets_no_stream_variables() {
        let options = Options { stream: StreamChoice::Unconfigured, ..Options::default() };
        let values = stack_variables(&options, None, "http://dynamo", "table");
        assert!(!values.keys().any(|name| name.starts_with("STREAM_")));
    }

    #[test]
    fn user_limits_follow_the_options() {
        const NAME: &str = "LIMIT_TOKEN_PER_MINUTE";
        let env = || BTreeMap::from([(NAME.to_owned(), "3".to_owned())]);
        for (user_limits, env, expected) in [
            (UserLimits::Disabled, BTreeMap::new(), Some("0")),
            (UserLimits::Disabled, env(), Some("3")),
            (UserLimits::Default, BTreeMap::new(), None),
            (UserLimits::Default, env(), Some("3")),
        ] {
            let options = Options { user_limits, env, ..Options::default() };
            let values = stack_variables(&options, None, "", "");
            assert_eq!(values.get(NAME).map(String::as_str), expected);
        }
    }

    #[test]
    fn user_limit_variables_match_the_template() {
        let functions = Template::load().unwrap().functions;
        let template_variables = functions.iter().flat_map(|function| &function.variables);
        let template_variables: BTreeSet<_> = template_variables
            .map(String::as_str)
            .filter(|name| name.starts_with("LIMIT_"))
            .collect();
        assert_eq!(template_variables, BTreeSet::from(USER_LIMIT_VARIABLES));
    }

    #[test]
    fn options_env_overrides_stack_variables() {
        let env = BTreeMap::from([("JWT_SECRET".to_owned(), "another".to_owned())]);
        let options = Options { env, ..Options::default() };
        assert_eq!(stack_variables(&options, None, "", "")["JWT_SECRET"], "another");
    }
}
