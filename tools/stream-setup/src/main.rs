//! `cargo run -p stream-setup`: prepares a Stream app for this service, and checks the app.
//!
//! Stream replaces the list of hooks as a whole. The command therefore reads the list first and
//! writes the other hooks back unchanged. [`plan`] and [`findings`] send no requests.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod app_client;
mod apply;
mod args;
mod call_type;
mod findings;
mod hook;
mod plan;
mod requirements;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use app_client::AppClient;
use args::{Command, Options};
use findings::{AppState, Level};
use requirements::Requirements;
use serde_json::Value;
use shared::config::Env;
use shared::error::{BoxError, format_chain};
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

/// Runs the command. `false` means a failed check or an app that differs from the plan.
async fn run() -> Result<bool, BoxError> {
    let command = args::parse(env::args_os().skip(1))?;
    let env = Env::from_process();
    let prepare = |options: &Options| -> Result<(AppClient, Requirements), BoxError> {
        let requirements = Requirements::from_env(&env, options.call_type.as_ref())?;
        Ok((AppClient::from_env(&env)?, requirements))
    };
    match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::Check(options) => {
            let (app, requirements) = prepare(&options)?;
            check(&app, &requirements, options.url).await
        }
        Command::Apply { options, is_confirmed } => {
            let (app, requirements) = prepare(&options)?;
            apply::apply(&app, &requirements, &options, is_confirmed).await
        }
    }
}

async fn check(
    app: &AppClient,
    requirements: &Requirements,
    url: Option<WebhookUrl>,
) -> Result<bool, BoxError> {
    let settings = app.get_settings().await?;
    let webhook = match url {
        Some(url) => {
            let registration = plan::registration(&hook::parse_hooks(&settings)?, &url)?;
            Some((url, registration))
        }
        None => None,
    };
    let mut settings: Value = serde_json::from_str(settings.get())?;
    let roles = match app.list_roles().await {
        Ok(roles) => Some(roles),
        Err(
            StreamError::NotFound(_) | StreamError::Rejected(_) | StreamError::InvalidResponse(_),
        ) => None,
        Err(error) => return Err(error.into()),
    };
    let state = AppState {
        app: settings["app"].take(),
        webhook,
        roles,
        call_type: app.get_call_type(&requirements.call_type).await?,
        service_user: app.get_service_user(&requirements.service_user).await?,
    };
    let findings = findings::check_app(&state, requirements);
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().all(|finding| finding.level != Level::Fail))
}

/// An error and its sources on one line. The text may come from Stream, so control characters are
/// replaced.
fn format_error_chain(error: &(dyn Error + 'static)) -> String {
    let text = format_chain(Some(error)).unwrap_or_default();
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
