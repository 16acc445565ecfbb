//! What the functions print: kept for the tests that search it, echoed for the developer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Everything that the functions of one stack printed.
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

    /// A line that a function printed.
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

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        lock(&self.0.text).clone()
    }
}

/// Something that whoever started the stack has to know, even a test that prints nothing else.
pub(crate) fn report_error(message: &str) {
    write_stderr_line(&format!("local: {message}"));
}

/// One write a line, so that lines of several functions do not mix.
fn write_stderr_line(line: &str) {
    // Nobody is left to be told when stderr is closed.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
