//! The schemas of events in `docs/events`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use jsonschema::Validator;
use local::workspace_root;
use serde_json::Value;

/// The validators by event type.
static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(load);

#[expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]
fn load() -> BTreeMap<String, Validator> {
    let files = fs::read_dir(workspace_root().join("docs/events")).unwrap();
    files
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let kind = name.strip_suffix(".schema.json").unwrap().to_owned();
            let text = fs::read_to_string(file.path()).unwrap();
            let schema: Value = serde_json::from_str(&text).unwrap();
            // The examples of the schema must match it.
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            for example in schema["examples"].as_array().unwrap() {
                assert!(validator.is_valid(example), "the example of {name}");
            }
            (kind, validator)
        })
        .collect()
}

/// The types of events that have a schema.
#[must_use]
pub fn event_types() -> Vec<&'static str> {
    VALIDATORS.keys().map(String::as_str).collect()
}

/// Checks a `CloudEvent` against the schema of its type.
///
/// # Panics
///
/// If the type has no schema, or the event does not match it.
pub fn assert_event(event: &Value) {
    let kind = event["type"].as_str().unwrap_or_default();
    let validator = VALIDATORS.get(kind);
    assert!(validator.is_some(), "no schema for {kind:?}");
    let errors = validator.into_iter().flat_map(|validator| validator.iter_errors(event));
    let errors: Vec<String> =
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, [""; 0], "{event}");
}
