//! `cargo run -p local` as a person has it: what it prints works, Ctrl-C leaves nothing behind, and
//! what is wrong is one line.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test cannot go on without it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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

/// The words of a line as a shell would take them: single quotes keep what is between them.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (n, piece) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.last_mut().unwrap().push_str(piece);
        } else {
            for (n, part) in piece.split(' ').enumerate() {
                if n > 0 {
                    words.push(String::new());
                }
                words.last_mut().unwrap().push_str(part);
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Does what `curl` would do with such a line; the status of the answer.
fn run_curl(line: &str) -> String {
    let mut words = shell_words(line).into_iter();
    let (mut url, mut headers, mut body) = (String::new(), Vec::new(), String::new());
    let mut method_option = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "curl" | "-sS" => {}
            "-H" => headers.push(words.next().unwrap()),
            "-X" => method_option = words.next(),
            "-d" => body = words.next().unwrap(),
            _ => url = word,
        }
    }
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let method =
        method_option.unwrap_or_else(|| if body.is_empty() { "GET" } else { "POST" }.to_owned());
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n")
        .unwrap();
    for header in headers {
        write!(socket, "{header}\r\n").unwrap();
    }
    write!(socket, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn child_pids(parent: &Child) -> Vec<String> {
    let id = parent.id();
    let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let mut all: Vec<_> = listed.split_whitespace().map(str::to_owned).collect();
    // A multi-threaded process has children of each of its threads.
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
    // Nobody reads what the functions log, but somebody has to take it away.
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
    let samples: Vec<_> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(samples.len(), local::route_keys().unwrap().len());
    for sample in samples {
        assert_eq!(run_curl(sample), "200", "{sample:.60}");
    }

    let functions = child_pids(&local);
    // More than one of those that Stream's events come to, and perhaps the sweeper.
    assert!(functions.len() >= local::route_keys().unwrap().len());
    let interrupt = Command::new("sh").args(["-c", &format!("kill -INT {}", local.id())]).status();
    assert!(interrupt.unwrap().success());
    assert!(local.wait().unwrap().success());
    for function in functions {
        let alive = std::path::Path::new(&format!("/proc/{function}")).exists();
        assert!(!alive, "process {function} lives on");
    }
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
    log.join().unwrap().unwrap();
}

/// The one line on standard error of a command that fails.
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
