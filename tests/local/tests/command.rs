//! The command `cargo run -p local`: the printed lines succeed, Ctrl-C stops all processes, and an
//! error is one line.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn local_command(ports: [u16; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    for (option, port) in ["--port", "--dynamodb-port", "--stream-port"].into_iter().zip(ports) {
        command.args([option, &port.to_string()]);
    }
    for (name, _) in std::env::vars() {
        if name.starts_with("STREAM_") || name.starts_with("JWT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The outcome of a line: the HTTP statuses of its requests.
type Outcomes = Vec<(String, Vec<String>)>;

/// Runs lines in one shell, with `curl`.
fn run_in_shell<'a>(setup: &str, lines: impl Iterator<Item = &'a str>) -> Outcomes {
    // The status goes to stderr, because a line may store the body from stdout.
    let print_status =
        r#"curl() { command curl --noproxy '*' "$@" -w '%{stderr}%{http_code}\n'; }"#;
    let lines: Vec<_> = lines.collect();
    let numbered = lines.iter().enumerate().map(|(at, line)| format!("{line}\necho line {at} >&2"));
    let script: Vec<_> =
        [print_status.to_owned(), setup.to_owned()].into_iter().chain(numbered).collect();
    let output = Command::new("sh").args(["-c", &script.join("\n")]).output().unwrap();
    let mut outcomes = Vec::new();
    let mut statuses = Vec::new();
    for text in String::from_utf8(output.stderr).unwrap().lines() {
        match text.strip_prefix("line ") {
            Some(at) => {
                let line = lines[at.parse::<usize>().unwrap()].to_owned();
                outcomes.push((line, std::mem::take(&mut statuses)));
            }
            None => statuses.push(text.to_owned()),
        }
    }
    outcomes
}

/// The lines of the README that send requests to this API, and the lines before them.
fn readme_lines(api_port: u16, printed: &Path) -> (String, Vec<String>) {
    let readme = std::fs::read_to_string(local::workspace_root().join("README.md")).unwrap();
    let start = readme.find("API=http://localhost:9000").unwrap();
    let block = &readme[start..start + readme[start..].find("```").unwrap()];
    let block = block.replace("localhost:9000", &format!("127.0.0.1:{api_port}"));
    let block = block.replace("/tmp/local.txt", printed.to_str().unwrap());
    let (setup, requests) = block.split_once("\n\n").unwrap();
    (setup.to_owned(), requests.lines().map(str::to_owned).collect())
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
    let mut local = local_command(ports).args(["--user", "carol"]).spawn().unwrap();
    // The pipe must be drained, or the functions block when it is full.
    let stderr = BufReader::new(local.stderr.take().unwrap());
    let log = std::thread::spawn(move || stderr.lines().collect::<Result<Vec<_>, _>>());
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
    assert!(lines.iter().any(|line| line.starts_with("carol      eyJ")));
    let printed = std::env::temp_dir().join(format!("local-{}.txt", ports[0]));
    std::fs::write(&printed, lines.join("\n")).unwrap();
    let samples: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| line.contains("curl -sS ")).collect();
    // One line for each route, a second line that creates a call, and two lines of carol.
    assert_eq!(samples.len(), local::route_keys().unwrap().len() + 1 + 2);

    // The lines of the README run between the printed ones, and the second run is in reverse order.
    let (setup, readme) = readme_lines(ports[0], &printed);
    let readme = || readme.iter().map(String::as_str);
    let (first, second) = samples.split_at(samples.len() / 2);
    let runs = first.iter().copied().chain(readme()).chain(second.iter().copied());
    let runs = runs.chain(readme()).chain(samples.iter().rev().copied()).chain(readme());
    let outcomes = run_in_shell(&setup, runs);
    std::fs::remove_file(&printed).unwrap();
    assert_eq!(outcomes.len(), 2 * samples.len() + 3 * readme().count());
    for (line, statuses) in &outcomes {
        assert_eq!(statuses, &["200"], "{line:.100}");
    }

    let expired = format!("curl -sS http://127.0.0.1:{}/api/stream/config", ports[0]);
    assert_eq!(run_in_shell("", std::iter::once(&*expired))[0].1, ["401"]);
    let functions = child_pids(&local);
    // `webhook` may have several processes, and the sweeper may have one.
    assert!(functions.len() >= local::route_keys().unwrap().len());
    let interrupt = Command::new("sh").args(["-c", &format!("kill -INT {}", local.id())]).status();
    assert!(interrupt.unwrap().success());
    assert!(local.wait().unwrap().success());
    for function in functions {
        let alive = Path::new(&format!("/proc/{function}")).exists();
        assert!(!alive, "process {function} is still running");
    }
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
    let log = log.join().unwrap().unwrap();
    let starts = |prefix: &str| log.iter().any(|line| line.starts_with(prefix));
    assert!(starts("POST /call/create 200 "), "{log:?}");
    let rejected = log.iter().find(|line| line.starts_with("GET /config 401 ")).unwrap();
    assert!(rejected.ends_with(" unauthenticated: no bearer token"), "{rejected}");
    assert!(log.iter().any(|line| line.ends_with(" carol")), "{log:?}");
    assert!(log.iter().all(|line| !line.contains("eyJ") && !line.starts_with('{')), "{log:?}");

    let path = local::workspace_root().join(format!("target/local/functions-{}.jsonl", ports[0]));
    let functions_log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(functions_log.contains("\"message\":\"request completed\""));
    assert!(functions_log.lines().all(|line| line.starts_with('{')));
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

    let line = error_line(local_command(ports).env("JWT_SECRET_ARN", "arn:aws:secretsmanager:x"));
    assert!(line.contains("set JWT_SECRET"), "{line}");

    let line = error_line(local_command(ports).arg("--nonsense"));
    assert!(line.contains("--nonsense"), "{line}");

    let line = error_line(local_command(ports).env("CARGO", "/nonexistent/cargo"));
    assert!(line.contains("cargo"), "{line}");
}
