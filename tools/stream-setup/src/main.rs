//! `cargo run -p stream-setup`: registers the webhook at Stream and checks the app's settings.
//!
//! Stream replaces the list of hooks as a whole. The command therefore reads the list first and
//! writes the other hooks back unchanged. [`plan`] and [`findings`] send no requests.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod app_client;
mod args;
mod findings;
mod hook;
mod plan;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use app_client::AppClient;
use args::Command;
use findings::{Level, Requirements};
use plan::{Change, Plan};
use serde_json::Value;
use shared::config::Env;
use shared::error::BoxError;
use shared::stream::StreamError;
use shared::stream::hooks::WebhookUrl;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("stream-setup: {}", format_error_chain(&*error));
            ExitCode::from(2)
        }
    }
}

/// Runs the command. `false` means a failed check or a list of hooks that differs from the plan.
async fn run() -> Result<bool, BoxError> {
    let command = args::parse(env::args_os().skip(1))?;
    let env = Env::from_process();
    match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::Check { url } => {
            check(&AppClient::from_env(&env)?, &Requirements::from_env(&env)?, &url).await
        }
        Command::Apply { url, is_confirmed } => {
            apply(&AppClient::from_env(&env)?, &url, is_confirmed).await
        }
    }
}

async fn check(
    app: &AppClient,
    requirements: &Requirements,
    url: &WebhookUrl,
) -> Result<bool, BoxError> {
    let settings = app.get_settings().await?;
    let registration = plan::registration(&hook::parse_hooks(&settings)?, url)?;
    let settings: Value = serde_json::from_str(settings.get())?;
    let roles = match app.list_roles().await {
        Ok(roles) => Some(roles),
        Err(
            StreamError::NotFound(_) | StreamError::Rejected(_) | StreamError::InvalidResponse(_),
        ) => None,
        Err(error) => return Err(error.into()),
    };
    let findings =
        findings::check_app(&settings["app"], &registration, url, roles.as_ref(), requirements);
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().all(|finding| finding.level != Level::Fail))
}

async fn apply(app: &AppClient, url: &WebhookUrl, is_confirmed: bool) -> Result<bool, BoxError> {
    let before = hook::parse_hooks(&app.get_settings().await?)?;
    let plan = Plan::new(&before, url)?;
    for line in plan.lines(url) {
        println!("{line}");
    }
    if plan.change == Change::Unchanged {
        println!("Hooks already send all required events: nothing to change.");
        return Ok(true);
    }
    if !is_confirmed {
        println!("Nothing was changed. Add --yes to write the changes.");
        return Ok(true);
    }
    if !hook::is_identical(&before, &hook::parse_hooks(&app.get_settings().await?)?)? {
        println!("The list of hooks changed since it was read: nothing was written. Try again.");
        return Ok(false);
    }
    let hooks = plan.hooks.iter().map(hook::RawHook::to_request).collect::<Result<Vec<_>, _>>()?;
    app.replace_hooks(&hooks).await?;
    let after = hook::parse_hooks(&app.get_settings().await?)?;
    let discrepancies = plan::find_discrepancies(&plan.hooks, &after, url)?;
    for line in &discrepancies {
        println!("After the update: {line}.");
    }
    if discrepancies.is_empty() {
        println!("Done: the webhook is registered, and the other hooks are unchanged.");
    }
    Ok(discrepancies.is_empty())
}

/// An error and its sources on one line. The text may come from Stream, so control characters are
/// replaced.
fn format_error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
