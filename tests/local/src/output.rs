//! What the functions print: kept for the tests that search it, echoed for the developer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Everything that the functions of one stack printed.
#[derive(Clone)]
pub(crate) struct Output(Arc<Kept>);

struct Kept {
    text: Mutex<String>,
    echo: bool,
}

impl Output {
    pub(crate) fn new(echo: bool) -> Self {
        Self(Arc::new(Kept { text: Mutex::default(), echo }))
    }

    /// A line that a function printed.
    pub(crate) fn line(&self, function: &str, line: &str) {
        {
            let mut text = lock(&self.0.text);
            text.push_str(line);
            text.push('\n');
        }
        if self.0.echo {
            say(&format!("{function}: {line}"));
        }
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        lock(&self.0.text).clone()
    }
}

/// Something that whoever started the stack has to know, even a test that prints nothing else.
pub(crate) fn alarm(message: &str) {
    say(&format!("local: {message}"));
}

/// One write a line, so that lines of several functions do not mix.
fn say(line: &str) {
    // Nobody is left to be told when stderr is closed.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
