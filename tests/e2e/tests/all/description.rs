//! `docs/openapi.yaml` and the functions' own table of errors. That every answer of a test is one
//! that is written there is seen to wherever a request is sent.

use std::collections::BTreeSet;

use e2e::Description;
use shared::error::Code;

#[test]
fn the_description_has_the_functions_table_of_errors() {
    let row =
        |code: &Code| (code.as_str().to_owned(), u64::from(code.status()), code.title().to_owned());
    let table: BTreeSet<_> = Code::ALL.iter().map(row).collect();
    assert_eq!(Description::get().error_table(), table);
}

#[test]
fn every_code_is_answered_by_some_operation() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(Description::get().answered_codes(), codes);
}
