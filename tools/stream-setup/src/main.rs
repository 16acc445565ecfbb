//! `cargo run -p stream-setup`: registers the webhook at Stream, and checks the app's settings
//! there.
//!
//! The list of hooks can only be replaced as a whole, so it is read first and written back with
//! everything in it that is not ours. What there is to decide is in [`plan`] and [`findings`],
//! which ask nobody.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to a person")]

mod args;
mod findings;
mod hook;
mod plan;
mod remote;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use args::Command;
use findings::{Level, Needs};
use plan::{Change, Plan};
use remote::Remote;
use serde_json::Value;
use shared::config::Env;
use shared::error::Source;
use shared::stream::StreamError;
use shared::stream::hooks::WebhookUrl;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("stream-setup: {}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

/// Does what the command line asks for; whether all is well.
async fn run() -> Result<bool, Source> {
    let command = args::parse(env::args_os().skip(1))?;
    let env = Env::of_process();
    match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::Check { url } => check(&Remote::open(&env)?, &Needs::from_env(&env)?, &url).await,
        Command::Apply { url, yes } => apply(&Remote::open(&env)?, &url, yes).await,
    }
}

async fn check(remote: &Remote, needs: &Needs, url: &WebhookUrl) -> Result<bool, Source> {
    let settings = remote.settings().await?;
    let registration = plan::registration(&hook::list(&settings)?, url)?;
    let settings: Value = serde_json::from_str(settings.get())?;
    let roles = match remote.roles().await {
        Ok(roles) => Some(roles),
        Err(StreamError::NotFound(_) | StreamError::Refused(_) | StreamError::BadAnswer(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let found = findings::findings(&settings["app"], &registration, url, roles.as_ref(), needs);
    for finding in &found {
        println!("{finding}");
    }
    Ok(found.iter().all(|finding| finding.level != Level::Fail))
}

async fn apply(remote: &Remote, url: &WebhookUrl, yes: bool) -> Result<bool, Source> {
    let before = hook::list(&remote.settings().await?)?;
    let plan = Plan::of(&before, url)?;
    for line in plan.lines(url) {
        println!("{line}");
    }
    if plan.change == Change::Nothing {
        println!("Every event comes already: there is nothing to change.");
        return Ok(true);
    }
    if !yes {
        println!("Nothing was changed; with --yes it is.");
        return Ok(true);
    }
    if !hook::is_same(&before, &hook::list(&remote.settings().await?)?)? {
        println!("Somebody else has just changed the list: nothing was written. Try again.");
        return Ok(false);
    }
    let request = plan.hooks.iter().map(hook::Hook::request).collect::<Result<Vec<_>, _>>()?;
    remote.replace(&request).await?;
    let after = hook::list(&remote.settings().await?)?;
    let missing = plan::unfulfilled(&plan.hooks, &after, url)?;
    for line in &missing {
        println!("After the change: {line}.");
    }
    if missing.is_empty() {
        println!("Done: the webhook is registered, and the other hooks are as they were.");
    }
    Ok(missing.is_empty())
}

/// An error and what lies behind it, as one line. Stream's words are in it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
