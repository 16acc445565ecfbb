//! The environment, read once at start and nowhere else.
//!
//! Every reader takes what one part needs, so that a function is given no variable that it does
//! not use. A value that is empty counts as not set, which is how a template leaves one out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::fields;

/// Why a function does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable that must be set is not.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable has a value that cannot be used. The value is not repeated.
    #[error("{name} {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
}

impl ConfigError {
    /// A variable whose value cannot be used.
    pub fn invalid(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { name, reason: reason.into() }
    }
}

/// The environment's variables, or those that a test gives.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The process's own. A value that is not Unicode counts as not set.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of a variable; `None` where it is empty or not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, or the text that stands in for it.
    #[must_use]
    pub fn get_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// The same with a secret in the place of a variable.
    #[must_use]
    pub(crate) fn with_secret(mut self, name: &str, secret: &SecretString) -> Self {
        self.0.insert(name.to_owned(), secret.expose_secret().to_owned());
        self
    }

    /// The value of a variable that must be set.
    pub fn require(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.get(name).ok_or(ConfigError::Missing(name))
    }

    /// A variable that holds whole seconds within `range`.
    pub fn seconds(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.parse_integer(name, default, &range, "a number of seconds").map(Duration::from_secs)
    }

    /// A variable that holds a whole number within `range`.
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

/// Where Stream is and who we are there.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The app's public key.
    pub api_key: String,
    /// The app's secret: it signs tokens and opens everything.
    pub api_secret: SecretString,
    /// Where Stream's API is, without a slash at the end.
    pub base_url: String,
}

/// Stream's own host: its server SDKs send users, chat and video alike to this one.
const DEFAULT_STREAM_BASE_URL: &str = "https://chat.stream-io-api.com";

impl StreamConfig {
    /// Reads `STREAM_API_KEY`, `STREAM_API_SECRET` and `STREAM_BASE_URL`; `None` where the key or
    /// the secret is missing, with which a function still starts.
    pub fn from_env(env: &Env) -> Result<Option<Self>, ConfigError> {
        let (Some(api_key), Some(api_secret)) =
            (env.get("STREAM_API_KEY"), env.get("STREAM_API_SECRET"))
        else {
            return Ok(None);
        };
        let base_url = env.get_or("STREAM_BASE_URL", DEFAULT_STREAM_BASE_URL).trim_end_matches('/');
        if !fields::is_http_url(base_url) {
            return Err(ConfigError::invalid("STREAM_BASE_URL", "must be an http or https URL"));
        }
        Ok(Some(Self {
            api_key: api_key.to_owned(),
            api_secret: SecretString::from(api_secret),
            base_url: base_url.to_owned(),
        }))
    }
}

/// Where the table is.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The table's name.
    pub table: String,
    /// The AWS region.
    pub region: String,
    /// Another DynamoDB than the region's own: the local stack's.
    pub endpoint: Option<String>,
}

impl StoreConfig {
    /// Reads `TABLE_NAME`, `AWS_REGION` and `DYNAMODB_ENDPOINT`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            table: env.require("TABLE_NAME")?.to_owned(),
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
        let is_configured = |env: Env| StreamConfig::from_env(&env).map(|found| found.is_some());
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
