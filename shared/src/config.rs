//! The configuration, read from the environment once at init.
//!
//! Each reader requires only the variables of its own part, so a function needs no variable that it
//! does not use. An empty value counts as unset, because a template passes an omitted parameter as
//! an empty string.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::fields;

/// An invalid configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable has an invalid value. The error does not contain the value, which may be a
    /// secret.
    #[error("{name} {reason}")]
    Invalid {
        /// The name of the variable.
        name: &'static str,
        /// The requirement that the value does not meet.
        reason: String,
    },
}

impl ConfigError {
    /// The error for a variable with an invalid value.
    pub fn invalid(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { name, reason: reason.into() }
    }
}

/// Environment variables, of the process or of a test.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of the process. A name or value that is not Unicode counts as unset.
    #[must_use]
    pub fn from_process() -> Self {
        let to_strings = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(to_strings).collect())
    }

    /// The value of a variable, or `None` if it is empty or unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, or `default` if it is empty or unset.
    #[must_use]
    pub fn get_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// The values of the variables with secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        const VARIABLES: [&str; 6] = [
            "STREAM_API_SECRET",
            "STREAM_API_SECRET_PREVIOUS",
            "JWT_SECRET",
            "JWT_SECRET_PREVIOUS",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        VARIABLES.into_iter().filter_map(|name| self.get(name))
    }

    /// This environment with a variable replaced by a secret.
    #[must_use]
    pub(crate) fn with_secret(mut self, name: &str, secret: &SecretString) -> Self {
        self.0.insert(name.to_owned(), secret.expose_secret().to_owned());
        self
    }

    /// The value of a required variable.
    pub fn require(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.get(name).ok_or(ConfigError::Missing(name))
    }

    /// The entries of a comma-separated list, without surrounding blanks, or an empty list if the
    /// variable is unset.
    pub fn list(&self, name: &'static str) -> Result<Vec<String>, ConfigError> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let entries: Vec<_> = text.split(',').map(|entry| entry.trim().to_owned()).collect();
        if entries.iter().any(String::is_empty) {
            let reason = "must be a comma-separated list without empty entries";
            return Err(ConfigError::invalid(name, reason));
        }
        Ok(entries)
    }

    /// The value of a variable in whole seconds within `range`, or `default` if it is unset.
    pub fn seconds(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.parse_integer(name, default, &range, "a number of seconds").map(Duration::from_secs)
    }

    /// The value of a variable as a whole number within `range`, or `default` if it is unset.
    pub fn number(
        &self,
        name: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        self.parse_integer(name, default, &range, "a number")
    }

    fn parse_integer<T: FromStr + PartialOrd + Display>(
        &self,
        name: &'static str,
        default: T,
        range: &RangeInclusive<T>,
        description: &str,
    ) -> Result<T, ConfigError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse::<T>().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            ConfigError::invalid(name, format!("must be {description}, {min} to {max}"))
        })
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Env {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(pairs: [(&str, &str); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// The base URL of Stream's API and the credentials of the app.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The app's public API key.
    pub api_key: String,
    /// The app's secret. It signs the tokens of users and of the server.
    pub api_secret: SecretString,
    /// The base URL of Stream's API, without a trailing slash.
    pub base_url: String,
}

/// The host of Stream's API. Stream's server SDKs use it for users, chat and video alike.
const DEFAULT_STREAM_BASE_URL: &str = "https://chat.stream-io-api.com";

impl StreamConfig {
    /// Reads `STREAM_API_KEY`, `STREAM_API_SECRET` and `STREAM_BASE_URL`. Returns `None` if the key
    /// or the secret is missing: a function also starts without them.
    pub fn from_env(env: &Env) -> Result<Option<Self>, ConfigError> {
        let (Some(api_key), Some(api_secret)) =
            (env.get("STREAM_API_KEY"), env.get("STREAM_API_SECRET"))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            api_key: api_key.to_owned(),
            api_secret: SecretString::from(api_secret),
            base_url: Self::base_url_from_env(env)?.to_owned(),
        }))
    }

    /// Reads `STREAM_BASE_URL`.
    pub(crate) fn base_url_from_env(env: &Env) -> Result<&str, ConfigError> {
        let base_url = env.get_or("STREAM_BASE_URL", DEFAULT_STREAM_BASE_URL).trim_end_matches('/');
        if fields::is_http_url(base_url) {
            Ok(base_url)
        } else {
            Err(ConfigError::invalid("STREAM_BASE_URL", "must be an http or https URL"))
        }
    }
}

/// The rest of the error without `TABLE_NAME`, which a function started by hand lacks.
const TABLE_NAME_REMEDY: &str = "is not set: set it to the name of the DynamoDB table, or run the \
                                 function with the local.env of `cargo run -p local -- --backends`";

/// The location of the table.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The name of the table.
    pub table: String,
    /// The AWS region.
    pub region: String,
    /// The endpoint of a local DynamoDB. `None` selects the region's endpoint.
    pub endpoint: Option<String>,
}

impl StoreConfig {
    /// Reads `TABLE_NAME`, `AWS_REGION` and `DYNAMODB_ENDPOINT`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let missing_table = || ConfigError::invalid("TABLE_NAME", TABLE_NAME_REMEDY);
        Ok(Self {
            table: env.get("TABLE_NAME").ok_or_else(missing_table)?.to_owned(),
            region: env.require("AWS_REGION")?.to_owned(),
            endpoint: env.get("DYNAMODB_ENDPOINT").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_configured_only_with_both_key_and_secret() {
        let is_configured = |env: Env| StreamConfig::from_env(&env).map(|config| config.is_some());
        assert_eq!(is_configured(Env::from([])), Ok(false));
        assert_eq!(is_configured(Env::from([("STREAM_API_KEY", "k")])), Ok(false));
        assert_eq!(
            is_configured(Env::from([("STREAM_API_KEY", "k"), ("STREAM_API_SECRET", "")])),
            Ok(false)
        );
        assert_eq!(
            is_configured(Env::from([("STREAM_API_KEY", "k"), ("STREAM_API_SECRET", "s")])),
            Ok(true)
        );
    }

    #[test]
    fn missing_table_name_is_an_error_with_a_remedy() {
        let read = |env: Env| StoreConfig::from_env(&env).map(|config| config.table);
        let env = Env::from([("AWS_REGION", "us-east-1"), ("TABLE_NAME", "")]);
        let error = read(env).unwrap_err().to_string();
        assert!(error.starts_with("TABLE_NAME is not set: set it to "), "{error}");
        assert!(error.contains("local.env"), "{error}");
        let env = Env::from([("AWS_REGION", "us-east-1"), ("TABLE_NAME", "stream")]);
        assert_eq!(read(env).unwrap(), "stream");
    }

    #[test]
    fn a_base_url_must_be_http() {
        for (url, is_valid) in
            [("http://127.0.0.1:3300/", true), ("ftp://x", false), ("nonsense", false)]
        {
            let env = Env::from([
                ("STREAM_API_KEY", "k"),
                ("STREAM_API_SECRET", "s"),
                ("STREAM_BASE_URL", url),
            ]);
            assert_eq!(StreamConfig::from_env(&env).is_ok(), is_valid, "{url}");
        }
    }

    #[test]
    fn list_is_separated_by_commas_and_has_no_empty_entry() {
        let read = |text| Env::from([("L", text)]).list("L");
        for (text, entries) in [
            ("a", &["a"][..]),
            ("", &[]),
            ("a,b", &["a", "b"]),
            (" a , b c ", &["a", "b c"]),
            ("a,a", &["a", "a"]),
        ] {
            assert_eq!(read(text).unwrap(), entries, "{text}");
        }
        for text in [" ", ",", "a,", ",a", "a,,b", "a, ,b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_must_be_an_integer_within_range() {
        let read = |text| Env::from([("T", text)]).seconds("T", 300, 5..=900).ok();
        assert_eq!(read(""), Some(Duration::from_mins(5)));
        assert_eq!(read("5"), Some(Duration::from_secs(5)));
        for bad in ["4", "901", "5s", "-5", "1e2"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn number_must_be_an_integer_within_range() {
        let read = |text| Env::from([("N", text)]).number("N", 30, 0..=100);
        assert_eq!([read(""), read("0"), read("100")], [Ok(30), Ok(0), Ok(100)]);
        for bad in ["101", "-1", "1.5", "ten"] {
            let reason = "must be a number, 0 to 100";
            assert_eq!(read(bad), Err(ConfigError::invalid("N", reason)), "{bad}");
        }
    }
}
