//! The text that the command prints at its start.
#![allow(clippy::print_stdout, reason = "a command prints its results")]

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;

use local::dynamo::LocalDynamo;
use local::{ClientAccess, Schedule, Stack, StartError};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::login::Login;
use crate::sample_requests;

/// The text in place of tokens that the functions would reject.
pub(crate) const NO_TOKENS: &str = "\
No session tokens and no sample requests: the functions accept only the tokens that your identity
provider signs. Sign in with your app. The first POST /api/stream/token registers a user.";

/// Prints a warning if the stack is reachable from other machines.
pub(crate) fn print_warning(clients: &ClientAccess) {
    if !clients.host.is_loopback() {
        println!(
            "WARNING: this stack listens on {}. Every device in the network can act",
            clients.host
        );
        println!("as any user, and read and change everything in this stack.");
        println!();
    }
}

/// Prints the addresses of the stack.
pub(crate) fn print_stack(
    stack: &Stack,
    clients: &ClientAccess,
    functions_log: &Path,
    login: &Login,
) -> Result<(), Box<dyn std::error::Error>> {
    let api_urls = urls(stack.api_address(), clients)?;
    println!();
    println!("Console    {}", console_url(stack.api_address(), clients));
    print_urls("API", &api_urls, "");
    if let Some(path) = stack.ca_path() {
        println!("CA         {} and {}{path}", ca_file(clients), http_url(&api_urls));
    }
    match stack.stream() {
        Some(_) => println!("Schedules  {}", format_schedules(&local::schedules()?)),
        None => println!("Schedules  none: they would remove the calls of other deployments"),
    }
    println!("Reference  {}/docs", stack.api_url());
    println!("Events     {}/_local/events", stack.api_url());
    println!("Log        {}", functions_log.display());
    print_backends(stack.dynamo(), stack.stream_address(), clients, login)?;
    if let Some(url) = api_urls.get(1).filter(|_| io::stdout().is_terminal()) {
        print_qr_code(url);
    }
    Ok(())
}

/// Prints the addresses of DynamoDB and Stream, and the login.
pub(crate) fn print_backends(
    dynamo: &LocalDynamo,
    stream: Option<SocketAddr>,
    clients: &ClientAccess,
    login: &Login,
) -> Result<(), StartError> {
    println!("DynamoDB   {} (table {})", dynamo.url(), dynamo.table_name());
    match stream {
        Some(address) => print_urls("Stream", &urls(address, clients)?, " (emulator)"),
        None => println!("Stream     the real Stream app of STREAM_API_KEY"),
    }
    println!("Login      {login}");
    println!();
    Ok(())
}

/// The URL of the console for a browser on this machine.
fn console_url(api: SocketAddr, clients: &ClientAccess) -> String {
    format!("{}://localhost:{}/", scheme(clients), api.port())
}

fn scheme(clients: &ClientAccess) -> &'static str {
    if clients.tls_dir.is_some() { "https" } else { "http" }
}

/// The file of the certificate authority.
fn ca_file(clients: &ClientAccess) -> String {
    let dir = clients.tls_dir.as_deref().unwrap_or(Path::new(""));
    dir.join("ca.crt").display().to_string()
}

/// The last URL without TLS: a device cannot use TLS before it trusts the authority.
fn http_url(urls: &[String]) -> String {
    urls.last().map(|url| url.replacen("https:", "http:", 1)).unwrap_or_default()
}

/// The URLs of a server. The first one is for this machine.
fn urls(local: SocketAddr, clients: &ClientAccess) -> Result<Vec<String>, StartError> {
    let scheme = scheme(clients);
    let addresses = clients.addresses()?;
    let reachable = addresses.into_iter().map(|address| SocketAddr::new(address, local.port()));
    Ok([local].into_iter().chain(reachable).map(|at| format!("{scheme}://{at}")).collect())
}

fn print_urls(name: &str, urls: &[String], suffix: &str) {
    for (index, url) in urls.iter().enumerate() {
        let label = if index == 0 { name } else { "" };
        println!("{label:<10} {url}{suffix}");
    }
}

/// Prints a URL for the camera of a phone.
fn print_qr_code(url: &str) {
    if let Some(image) = qr_code(url) {
        println!("{image}");
        println!("{url}");
        println!();
    }
}

/// The QR code of a URL, drawn for a dark background: the light modules are filled. A URL is far
/// below the maximum size of a code.
fn qr_code(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    Some(renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// The schedules on one line, such as `sweeper every 1 min with {}`.
fn format_schedules(schedules: &[(String, Schedule)]) -> String {
    let entry = |(function, Schedule { interval, input }): &(String, Schedule)| {
        format!("{function} every {} min with {input}", interval.as_secs() / 60)
    };
    schedules.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// Prints a session token of each user.
pub(crate) fn print_tokens(further_users: &[String], token_for: impl Fn(&str) -> String) {
    let mut lines = String::new();
    for user in sample_requests::users(further_users) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(lines, "{user:<10} {}", token_for(user));
    }
    println!("Session tokens, valid for 12 hours:");
    println!("{lines}");
}

/// Prints a line for each sample request.
pub(crate) fn print_sample_requests(stack: &Stack, further_users: &[String]) {
    println!("{}", sample_requests::USAGE);
    println!();
    for sample in sample_requests::all(further_users) {
        // A user id that was deleted in a real Stream app can never be used again.
        if sample.is_irreversible() && stack.stream().is_none() {
            continue;
        }
        println!("# {}", sample.route);
        let line = sample.curl_command(
            stack.api_url(),
            |user| user.map_or_else(|| stack.service_token(), |user| stack.token_for(user)),
            |body| stack.sign_webhook(body),
        );
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::PathBuf;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_are_formatted_on_one_line() {
        let entry = |minutes, input| {
            ("sweeper".to_owned(), Schedule { interval: Duration::from_mins(minutes), input })
        };
        let schedules = [entry(60, json!({"task": "reconcile"})), entry(1, json!({}))];
        assert_eq!(
            format_schedules(&schedules),
            "sweeper every 60 min with {\"task\":\"reconcile\"}, sweeper every 1 min with {}"
        );
    }

    #[test]
    fn qr_code_has_a_light_margin() {
        let image = qr_code("http://192.168.1.5:9000").unwrap();
        let lines: Vec<_> = image.lines().collect();
        assert!(lines[0].chars().all(|module| module == '\u{2588}'), "{image}");
        assert!(image.contains(' '), "{image}");
    }

    #[test]
    fn urls_have_the_scheme_and_the_addresses_of_the_options() {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);
        let clients = |host: &str, tls_dir: Option<&str>| ClientAccess {
            host: host.parse().unwrap(),
            tls_dir: tls_dir.map(PathBuf::from),
        };
        let loopback = urls(local, &clients("127.0.0.1", None)).unwrap();
        assert_eq!(loopback, ["http://127.0.0.1:9000"]);
        let console = console_url(local, &clients("127.0.0.1", None));
        assert_eq!(console, "http://localhost:9000/");
        let device = urls(local, &clients("192.168.1.5", Some("local-tls"))).unwrap();
        assert_eq!(device, ["https://127.0.0.1:9000", "https://192.168.1.5:9000"]);
        assert_eq!(http_url(&device), "http://192.168.1.5:9000");
        let ipv6 = urls(local, &clients("fd00::5", None)).unwrap();
        assert_eq!(ipv6[1], "http://[fd00::5]:9000");
    }
}
