//! `cargo run -p local`: runs the whole project on this machine, until Ctrl-C.
//!
//! This binary reads the command line and the environment, starts a stack of the library, and
//! prints how to use it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod args;
mod env_file;
mod login;
mod printout;
mod sample_requests;

use std::env;
use std::error::Error;
use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use args::{Args, Command};
use local::{
    BuildMode, ClientAccess, ConsoleOptions, ConsoleUser, Options, Stack, StreamChoice,
    workspace_root,
};
use login::Login;

/// The directory of the certificate authority, in the root of the workspace. Git ignores it.
const TLS_DIR: &str = "local-tls";

/// Only one of the two credentials of a Stream app is set.
#[derive(Debug, thiserror::Error)]
#[error(
    "{present} is set but {missing} is not: set both to use Stream, or neither for the emulator"
)]
struct IncompleteStreamCredentials {
    present: &'static str,
    missing: &'static str,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let args = match args::parse(env::args_os().skip(1))? {
        Command::Help => {
            print!("{}", args::HELP);
            return Ok(());
        }
        Command::Run(args) => args,
    };
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let stream = stream_choice(variable("STREAM_API_KEY"), variable("STREAM_API_SECRET"))?;
    let login = Login::from_env(variable)?;
    let clients = client_access(&args);
    let options = Options {
        api_port: args.port,
        dynamo_port: args.dynamodb_port,
        stream_port: args.stream_port,
        clients: Some(clients.clone()),
        console: Some(ConsoleOptions { users: console_users(&args, &login) }),
        data_dir: args.data_dir.clone(),
        webhooks: true,
        streams: true,
        // The local table has no items for the calls of other deployments, so a reconciliation
        // would remove those calls from a real Stream app.
        schedules: matches!(stream, StreamChoice::Emulated),
        stream,
        user_limits: args.user_limits,
        env: login.variables().clone(),
        functions_log: Some(functions_log(args.port)),
        build_mode: BuildMode::Verbose,
        ..Options::default()
    };
    printout::print_warning(&clients);
    if args.backends_only {
        run_backends(options, &args, &login).await
    } else {
        run_stack(options, &args, &login).await
    }
}

fn client_access(args: &Args) -> ClientAccess {
    let tls_dir = args.has_tls.then(|| workspace_root().join(TLS_DIR));
    ClientAccess { host: args.host, tls_dir }
}

/// The users of the console. The functions would reject the tokens of the stack if it cannot sign.
fn console_users(args: &Args, login: &Login) -> Vec<ConsoleUser> {
    if !login.can_issue_tokens() {
        return Vec::new();
    }
    let users = sample_requests::named_users(&args.users).into_iter();
    users.map(|(id, name)| ConsoleUser { id: id.to_owned(), name: name.to_owned() }).collect()
}

/// The file for the functions' output. Stacks on several ports have a file each.
fn functions_log(port: u16) -> PathBuf {
    workspace_root().join(format!("target/local/functions-{port}.jsonl"))
}

fn stream_choice(
    key: Option<String>,
    secret: Option<String>,
) -> Result<StreamChoice, IncompleteStreamCredentials> {
    const KEY: &str = "STREAM_API_KEY";
    const SECRET: &str = "STREAM_API_SECRET";
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(StreamChoice::Real { key, secret }),
        (None, None) => Ok(StreamChoice::Emulated),
        (Some(_), None) => Err(IncompleteStreamCredentials { present: KEY, missing: SECRET }),
        (None, Some(_)) => Err(IncompleteStreamCredentials { present: SECRET, missing: KEY }),
    }
}

async fn run_stack(options: Options, args: &Args, login: &Login) -> Result<(), Box<dyn Error>> {
    let mut shutdown_requested = pin!(shutdown_requested());
    let stack = tokio::select! {
        started = Stack::start(options) => started?,
        () = &mut shutdown_requested => return Ok(()),
    };
    let result = tokio::select! {
        failed = provision_and_serve(&stack, args, login) => failed,
        () = &mut shutdown_requested => Ok(()),
    };
    stack.stop().await;
    result
}

/// Provisions the sample users, prints the usage, and waits forever.
async fn provision_and_serve(
    stack: &Stack,
    args: &Args,
    login: &Login,
) -> Result<(), Box<dyn Error>> {
    if login.can_issue_tokens() {
        sample_requests::provision_users(stack, &args.users).await?;
    }
    printout::print_stack(stack, &client_access(args), &functions_log(args.port), login)?;
    if login.can_issue_tokens() {
        printout::print_tokens(&args.users, |user| stack.token_for(user));
        printout::print_sample_requests(stack, &args.users);
    } else {
        println!("{}", printout::NO_TOKENS);
    }
    println!();
    println!("Ctrl-C stops everything.");
    pending().await
}

async fn run_backends(options: Options, args: &Args, login: &Login) -> Result<(), Box<dyn Error>> {
    let mut shutdown_requested = pin!(shutdown_requested());
    let backends = tokio::select! {
        started = Stack::start_backends(options) => started?,
        () = &mut shutdown_requested => return Ok(()),
    };
    let written = env_file::write(backends.variables());
    if let Ok(path) = &written {
        let api_host =
            if args.host.is_loopback() { "::1".to_owned() } else { args.host.to_string() };
        println!("{} is ready. To start the API, run:", path.display());
        println!(
            "cargo lambda watch -A {api_host} -P {} --ignore-changes --concurrency 8 --env-file {}",
            args.port,
            env_file::FILE_NAME
        );
        println!();
        printout::print_backends(
            backends.dynamo(),
            backends.stream_address(),
            &client_access(args),
            login,
        )?;
        if login.can_issue_tokens() {
            printout::print_tokens(&args.users, |user| backends.token_for(user));
        } else {
            println!("{}", printout::NO_TOKENS);
        }
        println!("Ctrl-C stops DynamoDB and Stream.");
        shutdown_requested.await;
    }
    backends.stop().await;
    written.map_err(|error| format!("writing {} failed: {error}", env_file::FILE_NAME))?;
    Ok(())
}

/// Waits for Ctrl-C or for SIGTERM, which a supervisor sends.
async fn shutdown_requested() {
    tokio::select! {
        // Without a signal handler, the process could not stop cleanly, so it stops now.
        _ = tokio::signal::ctrl_c() => {}
        () = sigterm() => {}
    }
}

#[cfg(unix)]
async fn sigterm() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn sigterm() {
    pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_requires_key_and_secret() {
        let owned = |text: &str| Some(text.to_owned());
        assert!(matches!(stream_choice(None, None), Ok(StreamChoice::Emulated)));
        assert!(matches!(stream_choice(owned("k"), owned("s")), Ok(StreamChoice::Real { .. })));
        for (key, secret, missing) in [
            (owned("k"), None, "STREAM_API_SECRET is not"),
            (None, owned("s"), "STREAM_API_KEY is not"),
        ] {
            let Err(error) = stream_choice(key, secret) else { panic!("must be rejected") };
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
