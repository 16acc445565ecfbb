//! The `type:id` of a channel or a call.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The type and the id of a channel or a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cid {
    pub(super) kind: String,
    pub(super) id: String,
}

impl Cid {
    pub(crate) fn new(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned() }
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind, self.id)
    }
}

/// Not of the form `type:id`.
#[derive(Debug)]
pub(crate) struct InvalidCid;

impl FromStr for Cid {
    type Err = InvalidCid;

    fn from_str(text: &str) -> Result<Self, InvalidCid> {
        text.split_once(':').map(|(kind, id)| Self::new(kind, id)).ok_or(InvalidCid)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}
