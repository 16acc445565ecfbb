//! Benchmarks of the functions: release binaries with a Runtime API, DynamoDB and Stream on this
//! machine, behind TLS. `--help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod args;
mod budget;
mod build;
mod cgroup;
mod client;
mod cold;
mod concurrency;
mod delay_proxy;
mod error;
mod fixture;
mod growth;
mod instructions;
mod legacy_proxy;
mod load;
mod measure;
mod process;
mod report;
mod resource_usage;
mod stats;
mod tls;
mod variant;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use error::BenchError;

use args::{Command, CompareOptions, Mode, Run};
use fixture::Fixture;
use report::{ReportRow, Results};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BenchError> {
    match args::parse(std::env::args().skip(1))? {
        Command::Help => print!("{}", args::HELP),
        Command::Run(Run { build, mode }) => {
            match (build, &mode) {
                (false, _) => {}
                (true, Mode::Budget { .. }) => {
                    build::build_functions(&variant::RUST_FUNCTIONS).await?;
                }
                (true, _) => build::build_rust().await?,
            }
            match mode {
                Mode::Compare(options) => compare(&options).await?,
                Mode::Budget { update } => budget::run(update).await?,
                Mode::Cold { rounds } => cold::run(rounds).await?,
                Mode::Concurrency { requests } => concurrency::run(requests).await?,
                Mode::Load(options) => load::run(options).await?,
                Mode::Growth { calls } => growth::run(calls).await?,
            }
        }
    }
    Ok(())
}

async fn compare(options: &CompareOptions) -> Result<(), BenchError> {
    let node = options.with_node && build::build_node_baseline().await?;
    if options.with_node && !node {
        println!("Node.js is not installed, skipping the Node.js baseline.");
    }
    let work_dir = work_dir()?;
    let users = options.requests.max(instructions::WARM_REQUESTS) + 1;
    let fixture = Fixture::start(&work_dir, users).await?;
    let variants = variant::all(node);
    let mut runs = vec![Vec::new(); variants.len()];
    let mut minute_offsets = 1..;
    for round in 1..=options.rounds {
        for (variant, runs) in variants.iter().zip(&mut runs) {
            let minute_offset = minute_offsets.next().unwrap_or_default();
            let run =
                measure::measure_run(&fixture, variant, options.requests, minute_offset).await;
            runs.push(run.map_err(|error| error.context(&variant.name()))?);
        }
        eprint!("\rround {round} of {}", options.rounds);
    }
    eprintln!();
    let has_valgrind = instructions::is_valgrind_available().await;
    if !has_valgrind {
        println!("valgrind is not installed, skipping instruction counts.");
    }
    let mut rows = Vec::new();
    for (variant, runs) in variants.iter().zip(&runs) {
        // Valgrind does not support the code of Node's just-in-time compiler without further
        // options.
        let is_countable = has_valgrind && variant.kind != variant::Kind::Node;
        let instructions = if is_countable {
            Some(instructions::count(&fixture, variant, &work_dir, &mut minute_offsets).await?)
        } else {
            None
        };
        rows.push(ReportRow::new(variant, runs, instructions)?);
    }
    fixture.stop().await;
    let zips = report::zip_sizes(&function_names()?)?;
    let ratios = report::ratios(&rows);
    println!("{}\n{}", report::results_table(&rows), report::ratio_table(&ratios));
    println!("zip sizes in MB, largest first:{}", format_by_size(&zips));
    let runtime = if node { Some(node_runtime_name()?) } else { None };
    if let Some(runtime) = &runtime {
        println!("Node.js runtime: {runtime}");
    }
    if let Some(path) = &options.json {
        let results = Results {
            rounds: options.rounds,
            warm_requests: options.requests,
            node: runtime.as_deref(),
            rows: &rows,
            ratios: &ratios,
            zips: &zips,
        };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    if let Some(path) = &options.against {
        let earlier: report::EarlierResults = serde_json::from_slice(&std::fs::read(path)?)?;
        println!("\n{}", report::comparison_table(&earlier.rows, &rows));
    }
    Ok(())
}

/// The directory for temporary files.
pub(crate) fn work_dir() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new(".")).join("bench-files");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The names of the functions.
fn function_names() -> Result<Vec<String>, BenchError> {
    let entries = std::fs::read_dir(local::workspace_root().join("functions"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn format_by_size(zips: &[(String, u64)]) -> String {
    let mut zips = zips.to_vec();
    zips.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let shown = zips.iter().map(|(name, size)| format!(" {name} {:.2}", *size as f64 / 1e6));
    shown.collect::<Vec<_>>().join(",")
}

/// The name of the runtime of the Node.js baseline.
fn node_runtime_name() -> Result<String, BenchError> {
    let runtime = std::fs::read(build::node_baseline_dir().join("dist/runtime.json"))?;
    let runtime: serde_json::Value = serde_json::from_slice(&runtime)?;
    Ok(runtime["name"].as_str().unwrap_or_default().to_owned())
}
