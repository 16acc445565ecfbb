//! The output of the functions: stored for tests, and optionally echoed to stderr.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Everything that the functions of a stack have printed.
#[derive(Clone)]
pub(crate) struct FunctionOutput(Arc<OutputBuffer>);

struct OutputBuffer {
    text: Mutex<String>,
    echo: bool,
}

impl FunctionOutput {
    pub(crate) fn new(echo: bool) -> Self {
        Self(Arc::new(OutputBuffer { text: Mutex::default(), echo }))
    }

    /// Adds a line of a function.
    pub(crate) fn push_line(&self, function: &str, line: &str) {
        {
            let mut text = lock(&self.0.text);
            text.push_str(line);
            text.push('\n');
        }
        if self.0.echo {
            write_stderr_line(&format!("{function}: {line}"));
        }
    }

    /// All output so far.
    pub(crate) fn text(&self) -> String {
        lock(&self.0.text).clone()
    }
}

/// Prints an error of the stack to stderr, even if the output is not echoed.
pub(crate) fn report_error(message: &str) {
    write_stderr_line(&format!("local: {message}"));
}

/// Writes a line with one call, so that lines of several functions do not mix.
fn write_stderr_line(line: &str) {
    // If stderr is closed, no other channel is left.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
