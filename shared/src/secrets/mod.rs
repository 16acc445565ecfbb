//! Secrets in AWS Secrets Manager. The environment contains their ARNs.
//!
//! The fetched secrets replace plain variables, which only local development uses. All other code
//! reads the variables and does not depend on the source of a secret.

mod content;
mod manager;

pub(crate) use manager::SecretsManager;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{ConfigError, Env};
use crate::error::BoxError;

/// A store of secrets.
#[async_trait]
pub(crate) trait SecretSource: Send + Sync {
    /// Fetches the text of the secret with this ARN.
    async fn fetch(&self, arn: &str) -> Result<SecretString, BoxError>;
}

/// A kind of secret and its variables.
#[derive(Clone, Copy, Debug)]
struct SecretKind {
    /// The variable with the ARN.
    arn: &'static str,
    /// The variable with the secret itself, if it is not in Secrets Manager.
    current: &'static str,
    /// The variable with the previous secret, which is also valid during a rotation.
    previous: &'static str,
}

const SECRET_KINDS: [SecretKind; 2] = [
    SecretKind {
        arn: "STREAM_SECRET_ARN",
        current: "STREAM_API_SECRET",
        previous: "STREAM_API_SECRET_PREVIOUS",
    },
    SecretKind { arn: "JWT_SECRET_ARN", current: "JWT_SECRET", previous: "JWT_SECRET_PREVIOUS" },
];

/// An error of fetching the secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// A secret cannot be fetched now.
    #[error("the secret of {0} cannot be fetched")]
    FetchFailed(&'static str, #[source] BoxError),
    /// The fetch did not finish in time.
    #[error("fetching the secrets timed out")]
    Timeout,
    /// A secret is invalid.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

/// The secrets that a function fetches, with their ARNs.
#[derive(Debug)]
pub(crate) struct SecretRefs(Vec<(SecretKind, String)>);

/// Fetched secrets, by the variables that they replace.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResolvedSecrets(Vec<(&'static str, SecretString)>);

impl SecretRefs {
    /// Reads the ARNs that are set. An ARN together with a plain secret of the same kind is an
    /// error, because it would be ambiguous which one is valid.
    pub(crate) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let mut refs = Vec::new();
        for kind in SECRET_KINDS {
            let Some(arn) = env.get(kind.arn) else { continue };
            for plain_var in [kind.current, kind.previous] {
                if env.get(plain_var).is_some() {
                    let reason = format!("cannot be set together with {plain_var}");
                    return Err(ConfigError::invalid(kind.arn, reason));
                }
            }
            refs.push((kind, arn.to_owned()));
        }
        Ok(Self(refs))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fetches the secrets one after the other over one connection. A second connection would cost
    /// more time than it saves.
    pub(crate) async fn fetch(
        &self,
        source: &dyn SecretSource,
    ) -> Result<ResolvedSecrets, SecretsError> {
        let mut secrets = Vec::new();
        for (kind, arn) in &self.0 {
            let text = source.fetch(arn).await;
            let text = text.map_err(|error| SecretsError::FetchFailed(kind.arn, error))?;
            let content = content::parse(kind.arn, &text)?;
            secrets.push((kind.current, content.current));
            secrets.extend(content.previous.map(|previous| (kind.previous, previous)));
        }
        Ok(ResolvedSecrets(secrets))
    }
}

impl ResolvedSecrets {
    /// The environment with the variables replaced by these secrets.
    pub(crate) fn apply_to(&self, env: &Env) -> Env {
        self.0.iter().fold(env.clone(), |env, (name, secret)| env.with_secret(name, secret))
    }

    /// Whether both have the same secrets.
    pub(crate) fn has_same_values(&self, other: &Self) -> bool {
        let texts = |secrets: &Self| -> Vec<(&str, String)> {
            secrets
                .0
                .iter()
                .map(|(name, secret)| (*name, secret.expose_secret().to_owned()))
                .collect()
        };
        texts(self) == texts(other)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::FutureExt as _;

    use super::*;

    struct FakeSource(BTreeMap<&'static str, &'static str>);

    #[async_trait]
    impl SecretSource for FakeSource {
        async fn fetch(&self, arn: &str) -> Result<SecretString, BoxError> {
            self.0
                .get(arn)
                .map(|text| SecretString::from(*text))
                .ok_or_else(|| "the secret does not exist".into())
        }
    }

    const ENV: [(&str, &str); 3] =
        [("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET_ARN", "arn:jwt"), ("OTHER", "kept")];

    fn fetch(
        env: &Env,
        secrets: Vec<(&'static str, &'static str)>,
    ) -> Result<ResolvedSecrets, SecretsError> {
        let source = FakeSource(secrets.into_iter().collect());
        SecretRefs::from_env(env).unwrap().fetch(&source).now_or_never().unwrap()
    }

    #[test]
    fn secrets_replace_plain_variables() {
        let env = Env::from(ENV);
        let stored = vec![
            ("arn:stream", r#"{"secret":"s1","previous":"s0"}"#),
            ("arn:jwt", r#"{"secret":"j1"}"#),
        ];
        let resolved = fetch(&env, stored).unwrap();
        let applied = resolved.apply_to(&env);
        for (name, expected) in [
            ("STREAM_API_SECRET", Some("s1")),
            ("STREAM_API_SECRET_PREVIOUS", Some("s0")),
            ("JWT_SECRET", Some("j1")),
            ("JWT_SECRET_PREVIOUS", None),
            ("OTHER", Some("kept")),
        ] {
            assert_eq!(applied.get(name), expected, "{name}");
        }
        assert!(!format!("{resolved:?}").contains("s1"));
    }

    #[test]
    fn only_configured_arns_are_fetched() {
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET_ARN", "")]);
        assert!(fetch(&env, vec![("arn:stream", r#"{"secret":"s"}"#)]).is_ok());
        assert!(SecretRefs::from_env(&Env::from([("JWT_SECRET", "plain")])).unwrap().is_empty());
    }

    #[test]
    fn missing_secret_error_names_the_variable() {
        let error = fetch(&Env::from(ENV), vec![("arn:stream", r#"{"secret":"s"}"#)]).unwrap_err();
        assert_eq!(error.to_string(), "the secret of JWT_SECRET_ARN cannot be fetched");
    }

    #[test]
    fn plain_variable_beside_its_arn_is_rejected() {
        for plain_var in ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"] {
            let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), (plain_var, "s")]);
            let error = SecretRefs::from_env(&env).unwrap_err().to_string();
            assert_eq!(error, format!("STREAM_SECRET_ARN cannot be set together with {plain_var}"));
        }
        // A plain secret of the other kind is allowed.
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET", "j")]);
        assert!(!SecretRefs::from_env(&env).unwrap().is_empty());
    }

    #[test]
    fn changed_secret_compares_as_different() {
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream")]);
        let fetch = |text| fetch(&env, vec![("arn:stream", text)]).unwrap();
        let old = fetch(r#"{"secret":"a"}"#);
        assert!(old.has_same_values(&fetch(r#"{ "secret": "a" }"#)));
        assert!(!old.has_same_values(&fetch(r#"{"secret":"b"}"#)));
        assert!(!old.has_same_values(&fetch(r#"{"secret":"a","previous":"b"}"#)));
    }
}
