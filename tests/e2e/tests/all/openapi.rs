//! The error table of `docs/openapi.yaml` matches the code. The test client compares every response
//! with the document.

use std::collections::BTreeSet;

use e2e::OpenApiSpec;
use shared::error::Code;

#[test]
fn openapi_error_table_matches_the_code() {
    let row =
        |code: &Code| (code.as_str().to_owned(), u64::from(code.status()), code.title().to_owned());
    let table: BTreeSet<_> = Code::ALL.iter().map(row).collect();
    assert_eq!(OpenApiSpec::get().error_table(), table);
}

#[test]
fn every_error_code_is_documented_by_an_operation() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(OpenApiSpec::get().response_error_codes(), codes);
}
