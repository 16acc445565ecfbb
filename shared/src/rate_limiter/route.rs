//! The rate-limited routes and their limits.

use crate::config::{ConfigError, Env};

/// A rate-limited route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /token`.
    Token,
    /// `POST /call/create`.
    CallCreate,
    /// `POST /message/send`.
    MessageSend,
    /// `GET /call/quality/{callId}`.
    CallQuality,
    /// `POST /call/quality/{callId}`.
    QualityReport,
    /// `POST /token/revoke`.
    TokenRevoke,
    /// `POST /user/upsert`.
    UserUpsert,
}

impl Route {
    /// The name in the table's keys: that of the function.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::CallCreate => "call-create",
            Self::MessageSend => "message-send",
            Self::CallQuality => "call-quality",
            Self::QualityReport => "quality-report",
            Self::TokenRevoke => "token-revoke",
            Self::UserUpsert => "user-upsert",
        }
    }

    /// Reads the maximum number of requests per user and minute: up to 10,000; 0 disables the
    /// limit.
    pub(super) fn max_requests(self, env: &Env) -> Result<u32, ConfigError> {
        let (variable, default) = match self {
            Self::Token => ("LIMIT_TOKEN_PER_MINUTE", 30),
            Self::CallCreate => ("LIMIT_CALL_CREATE_PER_MINUTE", 20),
            Self::MessageSend => ("LIMIT_MESSAGE_SEND_PER_MINUTE", 60),
            Self::CallQuality => ("LIMIT_CALL_QUALITY_PER_MINUTE", 30),
            Self::QualityReport => ("LIMIT_QUALITY_REPORT_PER_MINUTE", 20),
            Self::TokenRevoke => ("LIMIT_TOKEN_REVOKE_PER_MINUTE", 10),
            Self::UserUpsert => ("LIMIT_USER_UPSERT_PER_MINUTE", 20),
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
            (Route::CallQuality, "LIMIT_CALL_QUALITY_PER_MINUTE", 30),
            (Route::QualityReport, "LIMIT_QUALITY_REPORT_PER_MINUTE", 20),
            (Route::TokenRevoke, "LIMIT_TOKEN_REVOKE_PER_MINUTE", 10),
            (Route::UserUpsert, "LIMIT_USER_UPSERT_PER_MINUTE", 20),
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
