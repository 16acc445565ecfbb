//! The decision behind a response, in one sentence.

use super::record::Record;

/// Explains an ended request. `None` if the facts do not say what decided.
pub(super) fn explain(record: &Record) -> Option<String> {
    let line = record.request_line()?;
    let (code, cause) = (line.code.as_deref()?, line.cause.as_deref()?);
    Some(format!("Rejected as {code}: {cause}."))
}
