//! One process: its output read line by line, its end noticed at once, and never left behind.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use crate::output::Output;
use crate::sync::lock;

/// How many of its last lines a process is remembered by.
const LAST_LINES: usize = 20;

/// The processes that are alive.
#[derive(Clone, Default)]
pub(super) struct Pids(Arc<Mutex<BTreeSet<u32>>>);

impl Pids {
    pub(super) fn list(&self) -> Vec<u32> {
        lock(&self.0).iter().copied().collect()
    }
}

/// A running process. Dropping it kills it.
pub(super) struct Process {
    /// Dropping this asks for the end as well as sending.
    kill: Option<oneshot::Sender<()>>,
    /// How it ended, once it has.
    status: watch::Receiver<Option<String>>,
    last_lines: LastLines,
}

impl Process {
    pub(super) fn start(
        mut command: Command,
        name: &str,
        output: &Output,
        pids: &Pids,
    ) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        lock(&pids.0).extend(child.id());
        let (kill, killed) = oneshot::channel();
        let (ended, status) = watch::channel(None);
        let last_lines = LastLines::default();
        let reader = LineReader {
            name: name.to_owned(),
            output: output.clone(),
            last_lines: last_lines.clone(),
        };
        tokio::spawn(attend(child, killed, reader, pids.clone(), ended));
        Ok(Self { kill: Some(kill), status, last_lines })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status.borrow().is_some()
    }

    /// Waits for the end, and says how it was. By then all output has been read.
    pub(super) async fn ended(&mut self) -> String {
        match self.status.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            // Only when the runtime itself is being shut down.
            Err(_) => "unattended".to_owned(),
        }
    }

    /// Kills it, if that is still needed, and waits for the end.
    pub(super) async fn end(&mut self) {
        drop(self.kill.take());
        self.ended().await;
    }

    /// What it last printed.
    pub(super) fn last_lines(&self) -> String {
        self.last_lines.text()
    }
}

/// Stays with a process to its end.
async fn attend(
    mut child: Child,
    killed: oneshot::Receiver<()>,
    reader: LineReader,
    pids: Pids,
    ended: watch::Sender<Option<String>>,
) {
    let pid = child.id();
    let stdout = tokio::spawn(reader.clone().read(child.stdout.take()));
    let stderr = tokio::spawn(reader.read(child.stderr.take()));
    let status = tokio::select! {
        status = child.wait() => status,
        _ = killed => {
            // An error says that it has just ended by itself.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    if let Some(pid) = pid {
        lock(&pids.0).remove(&pid);
    }
    // Their only error would be a panic.
    let _ = tokio::join!(stdout, stderr);
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    ended.send_replace(Some(status));
}

#[derive(Clone, Default)]
struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = lock(&self.0);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        Vec::from(lock(&self.0).clone()).join("\n")
    }
}

/// Reads what a process prints.
#[derive(Clone)]
struct LineReader {
    name: String,
    output: Output,
    last_lines: LastLines,
}

impl LineReader {
    async fn read(self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.output.line(&self.name, &line);
            self.last_lines.push(line);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test cannot go on without it")]
    fn shell(script: &str, output: &Output, pids: &Pids) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start(command, "sh", output, pids).unwrap()
    }

    #[tokio::test]
    async fn an_end_is_told_with_the_last_lines() {
        let (output, pids) = (Output::new(false), Pids::default());
        let mut process = shell("echo one; echo two >&2; printf three; exit 3", &output, &pids);
        assert_eq!(process.ended().await, "exit status: 3");
        assert!(process.has_ended());
        let lines = process.last_lines();
        for line in ["one", "two", "three"] {
            assert!(lines.contains(line), "{lines}");
            assert!(output.text().contains(line));
        }
        assert!(pids.list().is_empty());
    }

    #[tokio::test]
    async fn a_process_is_killed_and_waited_for() {
        let (output, pids) = (Output::new(false), Pids::default());
        let mut process = shell("echo up; exec sleep 600", &output, &pids);
        process.end().await;
        assert!(process.has_ended());
        assert!(pids.list().is_empty());
    }

    #[tokio::test]
    async fn a_dropped_process_ends() {
        let (output, pids) = (Output::new(false), Pids::default());
        let process = shell("exec sleep 600", &output, &pids);
        let mut status = process.status.clone();
        drop(process);
        assert!(status.wait_for(Option::is_some).await.is_ok());
        assert!(pids.list().is_empty());
    }
}
