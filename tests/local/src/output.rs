//! The output of the functions: kept in memory for tests, or written to a file for a developer.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::error::StartError;
use crate::sync::lock;
use crate::terminal::{Terminal, write_line};

/// Everything that the functions of a stack have printed.
#[derive(Clone)]
pub(crate) enum FunctionOutput {
    Memory(Arc<Mutex<String>>),
    Log(Arc<OutputLog>),
}

/// A file with all lines, and a terminal with the short ones.
pub(crate) struct OutputLog {
    file: Mutex<File>,
    terminal: Arc<Terminal>,
}

impl FunctionOutput {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Creates the file, or empties the file of an earlier run.
    pub(crate) fn in_file(path: &Path) -> Result<Self, StartError> {
        let file_error = |reason| StartError::FunctionsLog { path: path.to_owned(), reason };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(file_error)?;
        }
        let file = Mutex::new(File::create(path).map_err(file_error)?);
        Ok(Self::Log(Arc::new(OutputLog { file, terminal: Arc::new(Terminal::new()) })))
    }

    /// The terminal, if there is one.
    pub(crate) fn terminal(&self) -> Option<&Arc<Terminal>> {
        match self {
            Self::Memory(_) => None,
            Self::Log(log) => Some(&log.terminal),
        }
    }

    /// Adds a line of a function.
    pub(crate) fn push_line(&self, function: &str, line: &str) {
        match self {
            Self::Memory(text) => {
                let mut text = lock(text);
                text.push_str(line);
                text.push('\n');
            }
            Self::Log(log) => {
                let json_line = format!("{}\n", json_line(function, line));
                if let Err(error) = lock(&log.file).write_all(json_line.as_bytes()) {
                    report_error(&format!("writing the functions' output failed: {error}"));
                }
                log.terminal.show_output(function, line);
            }
        }
    }

    /// All output so far, if it is in memory.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Memory(text) => lock(text).clone(),
            Self::Log(_) => String::new(),
        }
    }
}

/// A line of the file. Output that is not JSON, such as the message of a panic, becomes an object.
fn json_line(function: &str, line: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(line) {
        Ok(_) if line.starts_with('{') => line.to_owned(),
        _ => Value::to_string(&json!({"function": function, "output": line})),
    }
}

/// Prints an error of the stack to stderr, also without a terminal.
pub(crate) fn report_error(message: &str) {
    write_line(&format!("local: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_is_an_object() {
        let path = std::env::temp_dir().join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let line = r#"{"level":"INFO","message":"started"}"#;
        for _ in 0..2 {
            FunctionOutput::in_file(&path).unwrap().push_line("token", line);
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        // The second run has emptied the file of the first.
        assert_eq!(text, format!("{line}\n"));

        let panic: Value = serde_json::from_str(&json_line("token", "panicked")).unwrap();
        assert_eq!(panic, json!({"function": "token", "output": "panicked"}));
    }
}
