//! What the functions cost: real release binaries before a Runtime API, a DynamoDB and a Stream
//! that stand in on this machine, behind TLS. `--help` says how.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to a person")]

mod args;
mod build;
mod client;
mod cpu;
mod failure;
mod growth;
mod instructions;
mod load;
mod measure;
mod older;
mod process;
mod report;
mod scene;
mod stats;
mod tls;
mod variant;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use failure::Failure;

use args::{Command, Compare, Run, What};
use report::{Results, Row};
use scene::Scene;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    match args::parse(std::env::args().skip(1))? {
        Command::Help => print!("{}", args::HELP),
        Command::Run(Run { build, what }) => {
            if build {
                build::rust().await?;
            }
            match what {
                What::Compare(wanted) => compare(&wanted).await?,
                What::Load(wanted) => load::run(wanted).await?,
                What::Growth { calls } => growth::run(calls).await?,
            }
        }
    }
    Ok(())
}

async fn compare(wanted: &Compare) -> Result<(), Failure> {
    let node = wanted.node && build::node().await?;
    if wanted.node && !node {
        println!("There is no Node.js here: the peer is left out.");
    }
    let folder = folder()?;
    let users = wanted.answers.max(instructions::MORE) + 1;
    let scene = Scene::start(&folder, users).await?;
    let variants = variant::all(node);
    let mut lives = vec![Vec::new(); variants.len()];
    let mut minutes = 1..;
    for round in 1..=wanted.rounds {
        for (variant, lives) in variants.iter().zip(&mut lives) {
            let minute = minutes.next().unwrap_or_default();
            let life = measure::life(&scene, variant, wanted.answers, minute).await;
            lives.push(life.map_err(|failure| failure.about(&variant.name()))?);
        }
        eprint!("\rround {round} of {}", wanted.rounds);
    }
    eprintln!();
    let counted = instructions::can_be_counted().await;
    if !counted {
        println!("There is no valgrind here: instructions are not counted.");
    }
    let mut rows = Vec::new();
    for (variant, lives) in variants.iter().zip(&lives) {
        // A compiler at run time makes code that valgrind has to be told of.
        let counted = counted && variant.kind != variant::Kind::Node;
        let instructions = if counted {
            Some(instructions::count(&scene, variant, &folder, &mut minutes).await?)
        } else {
            None
        };
        rows.push(Row::new(variant, lives, instructions)?);
    }
    scene.stop().await;
    let zips = report::zips(&functions()?)?;
    let ratios = report::ratios(&rows);
    println!("{}\n{}", report::table(&rows), report::ratio_table(&ratios));
    println!("zips, the largest first, MB:{}", largest_first(&zips));
    let runtime = if node { Some(peer_runtime()?) } else { None };
    if let Some(runtime) = &runtime {
        println!("Node runs under {runtime}.");
    }
    if let Some(path) = &wanted.json {
        let results = Results {
            rounds: wanted.rounds,
            later_answers: wanted.answers,
            node: runtime.as_deref(),
            rows: &rows,
            ratios: &ratios,
            zips: &zips,
        };
        std::fs::write(path, serde_json::to_vec_pretty(&results)?)?;
    }
    Ok(())
}

/// Where this run keeps its files.
fn folder() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new(".")).join("bench-files");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The functions, as their folders are called.
fn functions() -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(local::workspace_root().join("functions"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn largest_first(zips: &[(String, u64)]) -> String {
    let mut zips = zips.to_vec();
    zips.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let shown = zips.iter().map(|(name, size)| format!(" {name} {:.2}", *size as f64 / 1e6));
    shown.collect::<Vec<_>>().join(",")
}

/// What runs the peer's functions.
fn peer_runtime() -> Result<String, Failure> {
    let runtime = std::fs::read(build::peer().join("dist/runtime.json"))?;
    let runtime: serde_json::Value = serde_json::from_slice(&runtime)?;
    Ok(runtime["name"].as_str().unwrap_or_default().to_owned())
}
