//! The command `cargo run -p local`: the printed lines succeed, Ctrl-C stops all processes, and an
//! error is one line.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn local_command(ports: [u16; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    for (option, port) in ["--port", "--dynamodb-port", "--stream-port"].into_iter().zip(ports) {
        command.args([option, &port.to_string()]);
    }
    command.env_remove("STREAM_API_KEY").env_remove("STREAM_API_SECRET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs lines in one shell, with `curl`. Returns the HTTP status of each request.
fn run_in_shell<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    // The status goes to stderr, because a line may store the body from stdout.
    let print_status =
        r#"curl() { command curl --noproxy '*' -w '%{stderr}%{http_code}\n' "$@"; }"#;
    let script: Vec<_> = std::iter::once(print_status).chain(lines).collect();
    let output = Command::new("sh").args(["-c", &script.join("\n")]).output().unwrap();
    String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect()
}

fn child_pids(parent: &Child) -> Vec<String> {
    let id = parent.id();
    let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let mut all: Vec<_> = listed.split_whitespace().map(str::to_owned).collect();
    // Each thread of a process has its own list of children.
    for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap() {
        let listed = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        all.extend(listed.split_whitespace().map(str::to_owned));
    }
    all.sort();
    all.dedup();
    all
}

#[test]
fn printed_commands_work_and_ctrl_c_stops_all_processes() {
    let ports = [free_port(), free_port(), free_port()];
    let mut local = local_command(ports).spawn().unwrap();
    // The pipe must be drained, or the functions block when it is full.
    let mut stderr = local.stderr.take().unwrap();
    let log = std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    let stdout = BufReader::new(local.stdout.take().unwrap());
    let mut lines = Vec::new();
    for line in stdout.lines() {
        let line = line.unwrap();
        if line.starts_with("Ctrl-C") {
            break;
        }
        lines.push(line);
    }
    assert!(lines.iter().any(|line| line.starts_with("Schedules  sweeper every ")));
    let samples: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| line.contains("curl -sS ")).collect();
    // One line for each route, and a second line that creates a call.
    assert_eq!(samples.len(), local::route_keys().unwrap().len() + 1);
    // The second run is in reverse order.
    let runs: Vec<&str> = samples.iter().chain(samples.iter().rev()).copied().collect();
    let statuses = run_in_shell(runs.iter().copied());
    assert_eq!(statuses.len(), runs.len(), "{statuses:?}");
    for (line, status) in runs.iter().zip(&statuses) {
        assert_eq!(status, "200", "{line:.100}");
    }

    let functions = child_pids(&local);
    // `webhook` may have several processes, and the sweeper may have one.
    assert!(functions.len() >= local::route_keys().unwrap().len());
    let interrupt = Command::new("sh").args(["-c", &format!("kill -INT {}", local.id())]).status();
    assert!(interrupt.unwrap().success());
    assert!(local.wait().unwrap().success());
    for function in functions {
        let alive = std::path::Path::new(&format!("/proc/{function}")).exists();
        assert!(!alive, "process {function} is still running");
    }
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
    log.join().unwrap().unwrap();
}

/// The line on stderr of a command that fails.
fn error_line(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn startup_error_is_one_line() {
    let occupied_listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied_listener.local_addr().unwrap().port();
    let line = error_line(&mut local_command([port, free_port(), free_port()]));
    assert!(line.contains(&port.to_string()), "{line}");

    let ports = [free_port(), free_port(), free_port()];
    let line = error_line(local_command(ports).env("STREAM_API_KEY", "k"));
    assert!(line.contains("STREAM_API_SECRET is not"), "{line}");

    let line = error_line(local_command(ports).arg("--nonsense"));
    assert!(line.contains("--nonsense"), "{line}");

    let line = error_line(local_command(ports).env("CARGO", "/nonexistent/cargo"));
    assert!(line.contains("cargo"), "{line}");
}
