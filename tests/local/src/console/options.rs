//! The options of the console.

/// The console of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// The users whose session tokens the page gets. Empty if the stack cannot sign tokens that the
    /// functions accept. Otherwise the page also gets the token of a service.
    pub users: Vec<ConsoleUser>,
}

/// A user of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleUser {
    /// The id.
    pub id: String,
    /// The name, which the page shows.
    pub name: String,
}
