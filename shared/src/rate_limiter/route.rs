//! Which routes hold their users to a limit, and to which one.

use crate::config::{ConfigError, Env};

/// A route whose users are held to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Tokens.
    Token,
    /// New calls.
    CallCreate,
    /// Messages.
    MessageSend,
    /// Samples of a call's quality.
    QualityReport,
}

impl Route {
    /// Its name in the table's keys, which is that of its function.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::CallCreate => "call-create",
            Self::MessageSend => "message-send",
            Self::QualityReport => "quality-report",
        }
    }

    /// Reads how many requests a minute has for each user: up to 10,000, and 0 for no limit.
    pub(super) fn max_requests(self, env: &Env) -> Result<u32, ConfigError> {
        let (variable, default) = match self {
            Self::Token => ("LIMIT_TOKEN_PER_MINUTE", 30),
            Self::CallCreate => ("LIMIT_CALL_CREATE_PER_MINUTE", 20),
            Self::MessageSend => ("LIMIT_MESSAGE_SEND_PER_MINUTE", 60),
            Self::QualityReport => ("LIMIT_QUALITY_REPORT_PER_MINUTE", 20),
        };
        env.number(variable, default, 0..=10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_own_variable_and_default() {
        for (route, variable, default) in [
            (Route::Token, "LIMIT_TOKEN_PER_MINUTE", 30),
            (Route::CallCreate, "LIMIT_CALL_CREATE_PER_MINUTE", 20),
            (Route::MessageSend, "LIMIT_MESSAGE_SEND_PER_MINUTE", 60),
            (Route::QualityReport, "LIMIT_QUALITY_REPORT_PER_MINUTE", 20),
        ] {
            let limit_for = |text: &str| route.max_requests(&Env::from([(variable, text)])).ok();
            assert_eq!(
                [limit_for(""), limit_for("0"), limit_for("7")],
                [Some(default), Some(0), Some(7)]
            );
            assert_eq!(
                [limit_for("10001"), limit_for("-1"), limit_for("many")],
                [None; 3],
                "{variable}"
            );
        }
    }
}
