//! `cargo run -p reemit`: makes the events of settled calls again, after events were lost.
//! `docs/OPERATIONS.md` says when.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod args;

use std::env;
use std::process::ExitCode;

use args::{Command, Options};
use shared::calls::dynamo::{DynamoCallStore, SettledCalls};
use shared::config::{ConfigError, Env, StoreConfig};
use shared::dynamo::Table;
use shared::error::{BoxError, format_chain};
use shared::net;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reemit: {}", format_chain(Some(&*error)).unwrap_or_default());
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), BoxError> {
    match args::parse(env::args_os().skip(1))? {
        Command::Help => print!("{}", args::HELP),
        Command::Reemit(options) => reemit(options).await?,
    }
    Ok(())
}

async fn reemit(options: Options) -> Result<(), BoxError> {
    let config = store_config(&Env::from_process(), options.table)?;
    let store = DynamoCallStore::new(Table::new(&config, net::client()?));
    let (mut count, mut position) = (0_u64, None);
    loop {
        let SettledCalls { ids, next } = store.list_settled(options.since, position).await?;
        for id in &ids {
            if options.is_dry_run || store.request_events(id).await? {
                count += 1;
            }
        }
        position = next;
        if position.is_none() {
            break;
        }
    }
    if options.is_dry_run {
        println!("{count} calls were settled since {}; nothing was written", options.since);
    } else {
        println!("requested the events of {count} calls that were settled since {}", options.since);
    }
    Ok(())
}

fn store_config(env: &Env, table: Option<String>) -> Result<StoreConfig, ConfigError> {
    let table = table.map_or_else(|| env.require("TABLE_NAME").map(str::to_owned), Ok)?;
    let region = env.require("AWS_REGION")?.to_owned();
    Ok(StoreConfig { table, region, endpoint: env.get("DYNAMODB_ENDPOINT").map(str::to_owned) })
}
