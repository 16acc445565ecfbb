//! The results, as Markdown tables and as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::instructions::Instructions;
use crate::measure::ProcessRun;
use crate::stats::{median, millis, percentile};
use crate::variant::Variant;
use crate::{BenchError, build};

/// The results of a variant: medians over its processes. Times are in milliseconds, sizes in bytes.
#[derive(Debug, Serialize, Deserialize)]
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
            runs.iter().flat_map(|run| &run.warm_wall).copied().map(millis).collect();
        let (size, zipped) = sizes(&variant.artefact())?;
        #[expect(clippy::cast_precision_loss, reason = "sizes of memory are exact in 53 bits")]
        let memory = median_of(|run| run.peak_memory as f64);
        Ok(Self {
            name: variant.name(),
            init_cpu: median_of(|run| millis(run.init_cpu)),
            cold_cpu: median_of(|run| millis(run.cold_cpu)),
            cold_wall: median_of(|run| millis(run.cold_wall)),
            warm_cpu: median_of(|run| millis(run.warm_cpu)),
            warm_p50: percentile(warm.clone(), 0.5),
            warm_p99: percentile(warm, 0.99),
            memory,
            size,
            zipped,
            cold_instructions: instructions.map(|counts| counts.cold),
            warm_instructions: instructions.map(|counts| counts.warm),
        })
    }
}

/// The size of a file, and its size after compression as in a zip file.
fn sizes(path: &Path) -> Result<(u64, u64), BenchError> {
    let bytes = std::fs::read(path)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len() as u64, encoder.finish()?.len() as u64))
}

/// The compressed sizes of these binaries, by name. Missing binaries are skipped.
pub(crate) fn zip_sizes(names: &[String]) -> Result<Vec<(String, u64)>, BenchError> {
    let built = names.iter().filter(|name| build::release_binary(name).is_file());
    built.map(|name| Ok((name.clone(), sizes(&build::release_binary(name))?.1))).collect()
}

/// The results as a Markdown table.
pub(crate) fn results_table(rows: &[ReportRow]) -> String {
    let mut text = String::from(
        "| | cold CPU ms (init) | cold wall ms | warm CPU ms | warm p50 / p99 ms | peak MB | \
         binary / zip MB | instructions, cold M / warm k |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let count = |value: Option<u64>, scale: u64| {
            #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
            value.map_or_else(
                || "–".to_owned(),
                |value| format!("{:.2}", value as f64 / scale as f64),
            )
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

/// A ratio between two variants, with its target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ratio {
    metric: &'static str,
    value: f64,
    target: f64,
    /// Whether the target is a minimum. Otherwise it is a maximum.
    is_minimum: bool,
    is_met: bool,
}

/// The requests of `call-create` to DynamoDB and Stream. `token` sends one.
const CALL_CREATE_REQUESTS: f64 = 7.0;

/// The ratios with targets, for which both variants were measured.
pub(crate) fn ratios(rows: &[ReportRow]) -> Vec<Ratio> {
    let value_of = |name: &str, value: fn(&ReportRow) -> f64| {
        rows.iter().find(|row| row.name == name).map(value).filter(|value| *value > 0.0)
    };
    let cold: fn(&ReportRow) -> f64 = |row| row.cold_cpu;
    let warm: fn(&ReportRow) -> f64 = |row| row.warm_cpu;
    let memory: fn(&ReportRow) -> f64 = |row| row.memory;
    let at_most = |metric, numerator: Option<f64>, denominator: Option<f64>, target: f64| {
        let value = numerator? / denominator?;
        Some(Ratio { metric, value, target, is_minimum: false, is_met: value <= target })
    };
    let at_least = |metric, numerator: Option<f64>, denominator: Option<f64>, target: f64| {
        let value = numerator? / denominator?;
        Some(Ratio { metric, value, target, is_minimum: true, is_met: value >= target })
    };
    [
        at_most(
            "token, cold CPU, relative to the baseline",
            value_of("token", cold),
            value_of("baseline", cold),
            1.8,
        ),
        at_most(
            "token, warm CPU, relative to the baseline",
            value_of("token", warm),
            value_of("baseline", warm),
            3.0,
        ),
        at_most(
            "call-create, warm CPU for each of its requests, relative to token's",
            value_of("call-create", warm).map(|cpu| cpu / CALL_CREATE_REQUESTS),
            value_of("token", warm),
            2.5,
        ),
        at_most(
            "call-create, cold CPU, relative to the baseline",
            value_of("call-create", cold),
            value_of("baseline", cold),
            2.5,
        ),
        at_least(
            "Node's token, cold CPU, relative to ours",
            value_of("Node token", cold),
            value_of("token", cold),
            60.0,
        ),
        at_least(
            "Node's token, peak memory, relative to ours",
            value_of("Node token", memory),
            value_of("token", memory),
            15.0,
        ),
        at_least(
            "Node's call-create, peak memory, relative to ours",
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
        String::from("| ratio of medians, in one run | value | target | |\n|---|---|---|---|\n");
    for Ratio { metric, value, target, is_minimum, is_met } in ratios {
        let sign = if *is_minimum { "≥" } else { "≤" };
        let status = if *is_met { "met" } else { "missed" };
        let _ = writeln!(text, "| {metric} | {value:.2} | {sign} {target:.1} | {status} |");
    }
    text
}

/// The ratios to the results of an earlier run, as a Markdown table. Only ratios of instructions and
/// sizes are meaningful across machines.
pub(crate) fn comparison_table(earlier: &[ReportRow], rows: &[ReportRow]) -> String {
    type Metric = (&'static str, fn(&ReportRow) -> Option<f64>);
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    const METRICS: [Metric; 7] = [
        ("cold CPU", |row| Some(row.cold_cpu)),
        ("cold wall", |row| Some(row.cold_wall)),
        ("warm CPU", |row| Some(row.warm_cpu)),
        ("memory", |row| Some(row.memory)),
        ("zip", |row| Some(row.zipped as f64)),
        ("cold instructions", |row| row.cold_instructions.map(|count| count as f64)),
        ("warm instructions", |row| row.warm_instructions.map(|count| count as f64)),
    ];
    let names = METRICS.map(|(name, _)| name).join(" | ");
    let columns = "--:|".repeat(METRICS.len());
    let mut text = format!("| relative to the earlier run | {names} |\n|---|{columns}\n");
    for row in rows {
        let Some(earlier) = earlier.iter().find(|earlier| earlier.name == row.name) else {
            continue;
        };
        let cells = METRICS.iter().map(|(_, value)| match (value(row), value(earlier)) {
            (Some(now), Some(before)) if before > 0.0 => format!(" {:.2} |", now / before),
            _ => " – |".to_owned(),
        });
        let _ = writeln!(text, "| {} |{}", row.name, cells.collect::<String>());
    }
    text
}

/// The rows of earlier [`Results`].
#[derive(Deserialize)]
pub(crate) struct EarlierResults {
    pub(crate) rows: Vec<ReportRow>,
}

/// All results as JSON.
#[derive(Serialize)]
pub(crate) struct Results<'a> {
    pub(crate) rounds: u32,
    pub(crate) warm_requests: u32,
    pub(crate) node: Option<&'a str>,
    pub(crate) rows: &'a [ReportRow],
    pub(crate) ratios: &'a [Ratio],
    pub(crate) zips: &'a [(String, u64)],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cold_cpu: f64, warm_instructions: Option<u64>) -> ReportRow {
        ReportRow {
            name: name.to_owned(),
            init_cpu: 1.0,
            cold_cpu,
            cold_wall: 2.0,
            warm_cpu: 3.0,
            warm_p50: 1.0,
            warm_p99: 1.0,
            memory: 0.0,
            size: 1,
            zipped: 1_000,
            cold_instructions: None,
            warm_instructions,
        }
    }

    #[test]
    fn earlier_results_are_compared_by_name() {
        let written = serde_json::to_string(&Results {
            rounds: 1,
            warm_requests: 1,
            node: None,
            rows: &[row("token", 2.0, Some(800)), row("gone", 1.0, None)],
            ratios: &[],
            zips: &[],
        });
        let earlier: EarlierResults = serde_json::from_str(&written.unwrap()).unwrap();
        let table =
            comparison_table(&earlier.rows, &[row("token", 1.0, Some(600)), row("new", 1.0, None)]);
        let (_, rows) = table.split_once("--:|\n").unwrap();
        assert_eq!(rows, "| token | 0.50 | 1.00 | 1.00 | – | 1.00 | – | 0.75 |\n");
    }
}
