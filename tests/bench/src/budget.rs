//! The budget of instructions, which does not depend on the load of the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::BenchError;
use crate::fixture::Fixture;
use crate::instructions::{self, Instructions};
use crate::variant::{Kind, RUST_FUNCTIONS, Variant};

/// How far a count may exceed its budget, in percent. Runs differ by one percent.
const TOLERANCE: u64 = 5;

/// The counts by function.
type Budget = BTreeMap<String, Instructions>;

/// Counts the instructions of the functions. Fails if one exceeds its budget, unless the counts
/// become the new budget.
pub(crate) async fn run(update: bool) -> Result<(), BenchError> {
    if !instructions::is_valgrind_available().await {
        return Err(BenchError::new("valgrind is not installed"));
    }
    let path = budget_path();
    let work_dir = crate::work_dir()?;
    let fixture = Fixture::start(&work_dir, instructions::WARM_REQUESTS + 1).await?;
    let mut minute_offsets = 1..;
    let mut counts = Budget::new();
    for function in RUST_FUNCTIONS {
        let variant = Variant { kind: Kind::Rust, function };
        let count = instructions::count(&fixture, &variant, &work_dir, &mut minute_offsets).await?;
        counts.insert(function.to_owned(), count);
    }
    fixture.stop().await;
    if update {
        std::fs::write(&path, serde_json::to_string_pretty(&counts)? + "\n")?;
        println!("wrote {}", path.display());
        return Ok(());
    }
    let budget: Budget = serde_json::from_slice(&std::fs::read(&path)?)?;
    let rows = compare(&budget, &counts)?;
    println!("| instructions | counted | budget | |\n|---|--:|--:|--:|");
    for Row { name, counted, budget } in &rows {
        let percent = signed_percent(*counted, *budget);
        println!("| {name} | {counted} | {budget} | {percent:+} % |");
    }
    let over: Vec<_> = rows.iter().filter(|row| row.is_over()).map(|row| &*row.name).collect();
    if over.is_empty() {
        return Ok(());
    }
    Err(BenchError::new(format!(
        "over the budget by more than {TOLERANCE} %: {}; `budget --update` changes the budget",
        over.join(", ")
    )))
}

fn budget_path() -> PathBuf {
    local::workspace_root().join("tests/bench/budget.json")
}

/// A count and its budget.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    counted: u64,
    budget: u64,
}

impl Row {
    fn is_over(&self) -> bool {
        self.counted * 100 > self.budget * (100 + TOLERANCE)
    }
}

/// Compares the counts of both phases of each function.
fn compare(budget: &Budget, counts: &Budget) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::new();
    for (function, counted) in counts {
        let budget = budget
            .get(function)
            .ok_or_else(|| BenchError::new(format!("{function} has no budget")))?;
        for (phase, counted, budget) in [
            ("first response", counted.cold, budget.cold),
            ("later response", counted.warm, budget.warm),
        ] {
            rows.push(Row { name: format!("{function}, {phase}"), counted, budget });
        }
    }
    Ok(rows)
}

/// By how many percent a count differs from its budget.
fn signed_percent(counted: u64, budget: u64) -> i64 {
    let difference = i128::from(counted) - i128::from(budget);
    i64::try_from(difference * 100 / i128::from(budget.max(1))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(cold: u64, warm: u64) -> Budget {
        Budget::from([("token".to_owned(), Instructions { cold, warm })])
    }

    #[test]
    fn five_percent_over_the_budget_is_allowed() {
        let budget = counts(1_000, 200);
        let is_over = |counted: Budget| {
            let rows = compare(&budget, &counted).unwrap();
            [rows[0].is_over(), rows[1].is_over()]
        };
        assert_eq!(is_over(counts(1_050, 210)), [false, false]);
        assert_eq!(is_over(counts(1_051, 0)), [true, false]);
        assert_eq!(is_over(counts(0, 211)), [false, true]);
        assert_eq!(signed_percent(1_050, 1_000), 5);
        assert_eq!(signed_percent(900, 1_000), -10);
    }

    #[test]
    fn function_without_a_budget_is_an_error() {
        let error = compare(&Budget::new(), &counts(1, 1)).unwrap_err().to_string();
        assert_eq!(error, "token has no budget");
    }

    #[test]
    fn committed_budget_has_all_functions() {
        let budget: Budget =
            serde_json::from_slice(&std::fs::read(budget_path()).unwrap()).unwrap();
        assert_eq!(budget.keys().map(String::as_str).collect::<Vec<_>>(), ["call-create", "token"]);
    }
}
