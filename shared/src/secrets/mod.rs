//! Secrets that are kept in AWS Secrets Manager, under the ARNs that the environment names.
//!
//! What they hold takes the place of plain variables, which only a developer's machine has. So
//! nothing else here knows where a secret comes from.

mod content;
mod manager;

pub(crate) use manager::SecretsManager;

use async_trait::async_trait;

use crate::config::{ConfigError, Env};
use crate::error::Source;
use crate::secret::Secret;

/// Where secrets are kept.
#[async_trait]
pub(crate) trait SecretSource: Send + Sync {
    /// The text of one.
    async fn fetch(&self, arn: &str) -> Result<Secret, Source>;
}

/// A kind of secret, and the variables that have to do with it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Where it is kept.
    arn: &'static str,
    /// The secret itself, where it is not kept elsewhere.
    current: &'static str,
    /// The other one that is good while it is changed.
    previous: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        arn: "STREAM_SECRET_ARN",
        current: "STREAM_API_SECRET",
        previous: "STREAM_API_SECRET_PREVIOUS",
    },
    Kind { arn: "JWT_SECRET_ARN", current: "JWT_SECRET", previous: "JWT_SECRET_PREVIOUS" },
];

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSecrets {
    /// They cannot be read now.
    #[error("the secret of {0} cannot be read")]
    Unread(&'static str, #[source] Source),
    /// They did not come in time.
    #[error("the secrets did not come in time")]
    Late,
    /// They are none that can be used.
    #[error(transparent)]
    Unusable(#[from] ConfigError),
}

/// The secrets that a function is to fetch.
#[derive(Debug)]
pub(crate) struct Wanted(Vec<(Kind, String)>);

/// Secrets as they were fetched, by the variables whose place they take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(&'static str, Secret)>);

impl Wanted {
    /// Those whose ARNs are set. Beside an ARN there is no plain secret of the same kind: nobody
    /// would know which of them counts.
    pub(crate) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let mut wanted = Vec::new();
        for kind in KINDS {
            let Some(arn) = env.get(kind.arn) else { continue };
            for plain in [kind.current, kind.previous] {
                if env.get(plain).is_some() {
                    let reason = format!("cannot be set beside {plain}");
                    return Err(ConfigError::invalid(kind.arn, reason));
                }
            }
            wanted.push((kind, arn.to_owned()));
        }
        Ok(Self(wanted))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fetches all of them, one after the other: over one connection, since a second one would
    /// cost more than it saves.
    pub(crate) async fn fetch(&self, source: &dyn SecretSource) -> Result<Values, NoSecrets> {
        let mut values = Vec::new();
        for (kind, arn) in &self.0 {
            let text = source.fetch(arn).await;
            let text = text.map_err(|error| NoSecrets::Unread(kind.arn, error))?;
            let content = content::read(kind.arn, &text)?;
            values.push((kind.current, content.current));
            values.extend(content.previous.map(|previous| (kind.previous, previous)));
        }
        Ok(Values(values))
    }
}

impl Values {
    /// The environment with these secrets in their places.
    pub(crate) fn placed_in(&self, env: &Env) -> Env {
        self.0.iter().fold(env.clone(), |env, (name, secret)| env.with(name, secret))
    }

    /// Whether they are the same as others.
    pub(crate) fn same_as(&self, others: &Self) -> bool {
        let texts = |values: &Self| -> Vec<(&str, String)> {
            values.0.iter().map(|(name, secret)| (*name, secret.expose().to_owned())).collect()
        };
        texts(self) == texts(others)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::FutureExt as _;

    use super::*;

    struct Kept(BTreeMap<&'static str, &'static str>);

    #[async_trait]
    impl SecretSource for Kept {
        async fn fetch(&self, arn: &str) -> Result<Secret, Source> {
            self.0.get(arn).map(|text| Secret::new(*text)).ok_or_else(|| "there is none".into())
        }
    }

    const ENV: [(&str, &str); 3] =
        [("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET_ARN", "arn:jwt"), ("OTHER", "kept")];

    fn fetch(env: &Env, kept: Vec<(&'static str, &'static str)>) -> Result<Values, NoSecrets> {
        let source = Kept(kept.into_iter().collect());
        Wanted::from_env(env).unwrap().fetch(&source).now_or_never().unwrap()
    }

    #[test]
    fn secrets_take_the_places_of_plain_variables() {
        let env = Env::from(ENV);
        let kept = vec![
            ("arn:stream", r#"{"secret":"s1","previous":"s0"}"#),
            ("arn:jwt", r#"{"secret":"j1"}"#),
        ];
        let values = fetch(&env, kept).unwrap();
        let placed = values.placed_in(&env);
        for (name, expected) in [
            ("STREAM_API_SECRET", Some("s1")),
            ("STREAM_API_SECRET_PREVIOUS", Some("s0")),
            ("JWT_SECRET", Some("j1")),
            ("JWT_SECRET_PREVIOUS", None),
            ("OTHER", Some("kept")),
        ] {
            assert_eq!(placed.get(name), expected, "{name}");
        }
        assert!(!format!("{values:?}").contains("s1"));
    }

    #[test]
    fn only_what_is_named_is_fetched() {
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET_ARN", "")]);
        assert!(fetch(&env, vec![("arn:stream", r#"{"secret":"s"}"#)]).is_ok());
        assert!(Wanted::from_env(&Env::from([("JWT_SECRET", "plain")])).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_is_no_secret() {
        let unread = fetch(&Env::from(ENV), vec![("arn:stream", r#"{"secret":"s"}"#)]).unwrap_err();
        assert_eq!(unread.to_string(), "the secret of JWT_SECRET_ARN cannot be read");
    }

    #[test]
    fn a_kind_is_kept_in_one_place() {
        for plain in ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"] {
            let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), (plain, "s")]);
            let refused = Wanted::from_env(&env).unwrap_err().to_string();
            assert_eq!(refused, format!("STREAM_SECRET_ARN cannot be set beside {plain}"));
        }
        // The other kind has nothing to do with it.
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream"), ("JWT_SECRET", "j")]);
        assert!(!Wanted::from_env(&env).unwrap().is_empty());
    }

    #[test]
    fn a_changed_secret_is_another_one() {
        let env = Env::from([("STREAM_SECRET_ARN", "arn:stream")]);
        let fetch = |text| fetch(&env, vec![("arn:stream", text)]).unwrap();
        let old = fetch(r#"{"secret":"a"}"#);
        assert!(old.same_as(&fetch(r#"{ "secret": "a" }"#)));
        assert!(!old.same_as(&fetch(r#"{"secret":"b"}"#)));
        assert!(!old.same_as(&fetch(r#"{"secret":"a","previous":"b"}"#)));
    }
}
