//! The history of a user's calls: one row for each member of a call, a projection of the call items.
//!
//! `call-history` writes the rows from the table's change stream, and `call-list` reads them. A row
//! is written when the view of the members changes: when the call becomes active, is answered, is
//! extended, ends and is settled.

pub mod dynamo;
mod list;
mod project;
mod projector;
mod row;
mod store;
#[cfg(test)]
mod tests;

pub use list::{Cursor, HistoryPage, HistoryService, PageLimit, StateFilter};
pub use project::{Projection, project};
pub use projector::HistoryProjector;
pub use row::{HistoryRow, RowKey, RowState};
pub use store::{CurrentState, HistoryReader, HistoryWriter, RowPage};
