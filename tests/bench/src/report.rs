//! The results, as a table for people and as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::instructions::Instructions;
use crate::measure::ProcessRun;
use crate::stats::{median, millis, percentile};
use crate::variant::Variant;
use crate::{BenchError, build};

/// What a variant has cost: medians over its lives. Times are in milliseconds, sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReportRow {
    name: String,
    init_cpu: f64,
    cold_cpu: f64,
    cold_wall: f64,
    warm_cpu: f64,
    warm_p50: f64,
    warm_p99: f64,
    memory: f64,
    size: u64,
    zipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cold_instructions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_instructions: Option<u64>,
}

impl ReportRow {
    pub(crate) fn new(
        variant: &Variant,
        runs: &[ProcessRun],
        instructions: Option<Instructions>,
    ) -> Result<Self, BenchError> {
        let median_of = |value: fn(&ProcessRun) -> f64| median(runs.iter().map(value));
        let warm: Vec<f64> =
            runs.iter().flat_map(|life| &life.warm_wall).copied().map(millis).collect();
        let (size, zipped) = sizes(&variant.artefact())?;
        #[expect(clippy::cast_precision_loss, reason = "as many bytes as a machine has")]
        let memory = median_of(|life| life.peak_memory as f64);
        Ok(Self {
            name: variant.name(),
            init_cpu: median_of(|life| millis(life.init_cpu)),
            cold_cpu: median_of(|life| millis(life.cold_cpu)),
            cold_wall: median_of(|life| millis(life.cold_wall)),
            warm_cpu: median_of(|life| millis(life.warm_cpu)),
            warm_p50: percentile(warm.clone(), 0.5),
            warm_p99: percentile(warm, 0.99),
            memory,
            size,
            zipped,
            cold_instructions: instructions.map(|it| it.cold),
            warm_instructions: instructions.map(|it| it.warm),
        })
    }
}

/// Of a file as it is, and as it is in a zip (deflate, at its best).
fn sizes(path: &Path) -> Result<(u64, u64), BenchError> {
    let bytes = std::fs::read(path)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len() as u64, encoder.finish()?.len() as u64))
}

/// Of the zips of those of these binaries that are built, by name.
pub(crate) fn zip_sizes(names: &[String]) -> Result<Vec<(String, u64)>, BenchError> {
    let built = names.iter().filter(|name| build::release_binary(name).is_file());
    built.map(|name| Ok((name.clone(), sizes(&build::release_binary(name))?.1))).collect()
}

/// The rows as a Markdown table.
pub(crate) fn results_table(rows: &[ReportRow]) -> String {
    let mut text = String::from(
        "| | cold CPU ms (init) | cold wall ms | warm CPU ms | warm p50 / p99 ms | peak MB | \
         binary / zip MB | instructions, cold M / warm k |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let count = |value: Option<u64>, scale: u64| {
            #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
            value.map_or_else(|| "–".to_owned(), |it| format!("{:.2}", it as f64 / scale as f64))
        };
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let _ = writeln!(
            text,
            "| {} | {:.2} ({:.2}) | {:.2} | {:.3} | {:.2} / {:.2} | {:.1} | {:.2} / {:.2} | {} / {} |",
            row.name,
            row.cold_cpu,
            row.init_cpu,
            row.cold_wall,
            row.warm_cpu,
            row.warm_p50,
            row.warm_p99,
            row.memory / 1e6,
            mb(row.size),
            mb(row.zipped),
            count(row.cold_instructions, 1_000_000),
            count(row.warm_instructions, 1_000),
        );
    }
    text
}

/// A ratio between two rows, and what it was to be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ratio {
    metric: &'static str,
    value: f64,
    target: f64,
    /// Whether the bound is the least that it may be, and not the most.
    is_minimum: bool,
    is_met: bool,
}

/// The ratios that this project is held to, as far as there are rows for them.
pub(crate) fn ratios(rows: &[ReportRow]) -> Vec<Ratio> {
    let value_of = |name: &str, value: fn(&ReportRow) -> f64| {
        rows.iter().find(|row| row.name == name).map(value).filter(|value| *value > 0.0)
    };
    let cold: fn(&ReportRow) -> f64 = |row| row.cold_cpu;
    let warm: fn(&ReportRow) -> f64 = |row| row.warm_cpu;
    let memory: fn(&ReportRow) -> f64 = |row| row.memory;
    let at_most = |metric, numerator: Option<f64>, denominator: Option<f64>, bound: f64| {
        let ratio = numerator? / denominator?;
        Some(Ratio {
            metric,
            value: ratio,
            target: bound,
            is_minimum: false,
            is_met: ratio <= bound,
        })
    };
    let at_least = |metric, numerator: Option<f64>, denominator: Option<f64>, bound: f64| {
        let ratio = numerator? / denominator?;
        Some(Ratio {
            metric,
            value: ratio,
            target: bound,
            is_minimum: true,
            is_met: ratio >= bound,
        })
    };
    [
        at_most(
            "token, cold CPU, over the baseline's",
            value_of("token", cold),
            value_of("baseline", cold),
            2.0,
        ),
        at_most(
            "token, warm CPU, over the baseline's",
            value_of("token", warm),
            value_of("baseline", warm),
            3.0,
        ),
        at_most(
            "call-create, cold CPU, over the baseline's",
            value_of("call-create", cold),
            value_of("baseline", cold),
            2.5,
        ),
        at_least(
            "Node's token, cold CPU, over ours",
            value_of("Node token", cold),
            value_of("token", cold),
            60.0,
        ),
        at_least(
            "Node's token, peak memory, over ours",
            value_of("Node token", memory),
            value_of("token", memory),
            15.0,
        ),
        at_least(
            "Node's call-create, peak memory, over ours",
            value_of("Node call-create", memory),
            value_of("call-create", memory),
            15.0,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The ratios as a Markdown table.
pub(crate) fn ratio_table(ratios: &[Ratio]) -> String {
    let mut text =
        String::from("| ratio of medians, in one run | is | to be | |\n|---|---|---|---|\n");
    for Ratio { metric: what, value: is, target: bound, is_minimum: least, is_met: met } in ratios {
        let sign = if *least { "≥" } else { "≤" };
        let status = if *met { "met" } else { "missed" };
        let _ = writeln!(text, "| {what} | {is:.2} | {sign} {bound:.1} | {status} |");
    }
    text
}

/// Everything as JSON.
#[derive(Serialize)]
pub(crate) struct Results<'a> {
    pub(crate) rounds: u32,
    pub(crate) warm_requests: u32,
    pub(crate) node: Option<&'a str>,
    pub(crate) rows: &'a [ReportRow],
    pub(crate) ratios: &'a [Ratio],
    pub(crate) zips: &'a [(String, u64)],
}
