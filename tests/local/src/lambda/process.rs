//! A child process: reads its output line by line, detects its exit, and kills it on drop.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use crate::output::FunctionOutput;
use crate::sync::lock;
use crate::trace::ProcessTrace;

/// The number of lines that are kept for an error message.
const MAX_LAST_LINES: usize = 20;

/// The ids of the running processes.
#[derive(Clone, Default)]
pub(super) struct ProcessIds(Arc<Mutex<BTreeSet<u32>>>);

impl ProcessIds {
    pub(super) fn list(&self) -> Vec<u32> {
        lock(&self.0).iter().copied().collect()
    }
}

/// A running process. Dropping it kills it.
pub(super) struct Process {
    /// Dropping the sender kills the process too.
    kill: Option<oneshot::Sender<()>>,
    /// The exit status, once the process has exited.
    status: watch::Receiver<Option<String>>,
    last_lines: LastLines,
}

impl Process {
    pub(super) fn start(
        mut command: Command,
        name: &str,
        output: &FunctionOutput,
        pids: &ProcessIds,
        trace: &ProcessTrace,
    ) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        lock(&pids.0).extend(child.id());
        let (kill, kill_requested) = oneshot::channel();
        let (status_sender, status) = watch::channel(None);
        let last_lines = LastLines::default();
        let reader = LineReader {
            name: name.to_owned(),
            output: output.clone(),
            trace: trace.clone(),
            last_lines: last_lines.clone(),
        };
        tokio::spawn(supervise(child, kill_requested, reader, pids.clone(), status_sender));
        Ok(Self { kill: Some(kill), status, last_lines })
    }

    pub(super) fn has_exited(&self) -> bool {
        self.status.borrow().is_some()
    }

    /// Waits for the exit and returns the status. All output has been read then.
    pub(super) async fn wait(&mut self) -> String {
        match self.status.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            // Only if the Tokio runtime shuts down.
            Err(_) => "exit status unknown".to_owned(),
        }
    }

    /// Kills the process if it is still running, and waits for it.
    pub(super) async fn kill_and_wait(&mut self) {
        drop(self.kill.take());
        self.wait().await;
    }

    /// The last lines that the process printed.
    pub(super) fn last_lines(&self) -> String {
        self.last_lines.text()
    }
}

/// Waits until a process exits or is to be killed, and records its status.
async fn supervise(
    mut child: Child,
    kill_requested: oneshot::Receiver<()>,
    reader: LineReader,
    pids: ProcessIds,
    status_sender: watch::Sender<Option<String>>,
) {
    let pid = child.id();
    let stdout = tokio::spawn(reader.clone().read(child.stdout.take()));
    let stderr = tokio::spawn(reader.read(child.stderr.take()));
    let status = tokio::select! {
        status = child.wait() => status,
        _ = kill_requested => {
            // An error means that the process has just exited.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    if let Some(pid) = pid {
        lock(&pids.0).remove(&pid);
    }
    // The only possible error is a panic.
    let _ = tokio::join!(stdout, stderr);
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    status_sender.send_replace(Some(status));
}

#[derive(Clone, Default)]
struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = lock(&self.0);
        if lines.len() == MAX_LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        Vec::from(lock(&self.0).clone()).join("\n")
    }
}

/// Reads the output of a process.
#[derive(Clone)]
struct LineReader {
    name: String,
    output: FunctionOutput,
    trace: ProcessTrace,
    last_lines: LastLines,
}

impl LineReader {
    async fn read(self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.output.push_line(&self.name, &line);
            self.trace.log(&line);
            self.last_lines.push(line);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]
    fn shell(script: &str, output: &FunctionOutput, pids: &ProcessIds) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start(command, "sh", output, pids, &ProcessTrace::none()).unwrap()
    }

    #[tokio::test]
    async fn exit_status_and_last_lines_are_reported() {
        let (output, pids) = (FunctionOutput::in_memory(), ProcessIds::default());
        let mut process = shell("echo one; echo two >&2; printf three; exit 3", &output, &pids);
        assert_eq!(process.wait().await, "exit status: 3");
        assert!(process.has_exited());
        let lines = process.last_lines();
        for line in ["one", "two", "three"] {
            assert!(lines.contains(line), "{lines}");
            assert!(output.text().contains(line));
        }
        assert!(pids.list().is_empty());
    }

    #[tokio::test]
    async fn kill_and_wait_reaps_the_process() {
        let (output, pids) = (FunctionOutput::in_memory(), ProcessIds::default());
        let mut process = shell("echo up; exec sleep 600", &output, &pids);
        process.kill_and_wait().await;
        assert!(process.has_exited());
        assert!(pids.list().is_empty());
    }

    #[tokio::test]
    async fn dropped_process_is_killed() {
        let (output, pids) = (FunctionOutput::in_memory(), ProcessIds::default());
        let process = shell("exec sleep 600", &output, &pids);
        let mut status = process.status.clone();
        drop(process);
        assert!(status.wait_for(Option::is_some).await.is_ok());
        assert!(pids.list().is_empty());
    }
}
