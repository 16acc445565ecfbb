//! The login of the app: the `JWT_*` variables of the environment, which the functions get too.
//!
//! `docs/CONFIGURATION.md` and `docs/LOGIN.md` describe the variables.

use std::collections::BTreeMap;
use std::fmt;

const SECRET: &str = "JWT_SECRET";
const SECRET_ARN: &str = "JWT_SECRET_ARN";
const KEY_SET_URL: &str = "JWT_JWKS_URL";

/// The variables that do not select the key.
const SETTINGS: [&str; 10] = [
    "JWT_SECRET_PREVIOUS",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_AUDIENCE_CLAIM",
    "JWT_REQUIRED_CLAIM",
    "JWT_USER_ID_CLAIM",
    "JWT_USER_ID_ENCODING",
    "JWT_ROLE_CLAIM",
    "JWT_SERVICE_ROLE",
    "JWT_AUTH_TIME_CLAIM",
];

/// The environment selects no single key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("JWT_SECRET_ARN names a secret of AWS: unset it, and set JWT_SECRET to the secret")]
    SecretOfAws,
    #[error("JWT_SECRET and JWT_JWKS_URL are both set: unset one of them")]
    TwoKeySources,
}

/// The key of the session tokens.
#[derive(Clone, PartialEq, Eq)]
enum KeySource {
    /// The secret of the stack.
    Stack,
    /// The secret of the environment.
    Secret,
    /// The published keys of an identity provider.
    KeySet { url: String },
}

/// The settings of the login.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    key: KeySource,
    variables: BTreeMap<String, String>,
}

impl Login {
    /// Reads the environment. `variable` returns the value of a variable, unless it is empty.
    pub(crate) fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, LoginError> {
        if variable(SECRET_ARN).is_some() {
            return Err(LoginError::SecretOfAws);
        }
        let read = |name: &str| Some((name.to_owned(), variable(name)?));
        let mut variables: BTreeMap<_, _> = SETTINGS.into_iter().filter_map(read).collect();
        let key = match (variable(SECRET), variable(KEY_SET_URL)) {
            (Some(_), Some(_)) => return Err(LoginError::TwoKeySources),
            (Some(secret), None) => {
                variables.insert(SECRET.to_owned(), secret);
                KeySource::Secret
            }
            (None, Some(url)) => {
                variables.insert(KEY_SET_URL.to_owned(), url.clone());
                // An empty value replaces the secret of the stack.
                variables.insert(SECRET.to_owned(), String::new());
                KeySource::KeySet { url }
            }
            (None, None) => KeySource::Stack,
        };
        Ok(Self { key, variables })
    }

    /// The variables for the functions.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Whether the stack can issue session tokens that the functions accept.
    pub(crate) fn can_issue_tokens(&self) -> bool {
        !matches!(self.key, KeySource::KeySet { .. })
    }
}

/// With the names of the variables only: some have secrets.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&format_args!("{self}")).finish()
    }
}

/// A URL without the name and the password of its authority.
fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}{separator}{host}{path}")
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            KeySource::Stack => f.write_str("the secret of this stack")?,
            KeySource::Secret => f.write_str("JWT_SECRET of the environment")?,
            KeySource::KeySet { url } => write!(f, "the keys at {}", without_userinfo(url))?,
        }
        let settings: Vec<_> =
            SETTINGS.into_iter().filter(|name| self.variables.contains_key(*name)).collect();
        if settings.is_empty() { Ok(()) } else { write!(f, ", with {}", settings.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(environment: &[(&str, &str)]) -> Result<Login, LoginError> {
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        Login::from_env(|name| environment.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn stack_uses_its_own_secret_by_default() {
        let login = login(&[("STREAM_CALL_TYPE", "private")]).unwrap();
        assert!(login.variables().is_empty() && login.can_issue_tokens());
        assert_eq!(login.to_string(), "the secret of this stack");
    }

    #[test]
    fn variables_of_the_environment_reach_the_functions() {
        let secret = ("JWT_SECRET", "a-secret-of-the-app");
        let login = login(&[secret, ("JWT_ISSUER", "https://issuer"), ("JWT_ROLE_CLAIM", "kind")]);
        let login = login.unwrap();
        assert!(login.can_issue_tokens());
        assert_eq!(login.variables()["JWT_SECRET"], "a-secret-of-the-app");
        assert_eq!(login.variables()["JWT_ISSUER"], "https://issuer");
        let text = login.to_string();
        assert_eq!(text, "JWT_SECRET of the environment, with JWT_ISSUER, JWT_ROLE_CLAIM");
    }

    #[test]
    fn published_keys_replace_the_secret_of_the_stack() {
        let login = login(&[("JWT_JWKS_URL", "https://issuer/keys")]).unwrap();
        assert!(!login.can_issue_tokens());
        assert_eq!(login.variables()["JWT_SECRET"], "");
        assert_eq!(login.to_string(), "the keys at https://issuer/keys");
    }

    #[test]
    fn output_has_no_secrets() {
        let secrets = [("JWT_SECRET", "first-hidden"), ("JWT_SECRET_PREVIOUS", "second-hidden")];
        let debug = format!("{:?}", login(&secrets).unwrap());
        assert_eq!(debug, "Login(JWT_SECRET of the environment, with JWT_SECRET_PREVIOUS)");
        for (url, expected) in [
            ("https://name:hidden@issuer/keys?a=b@c", "https://issuer/keys?a=b@c"),
            ("https://hidden@issuer", "https://issuer"),
            ("https://issuer/@keys", "https://issuer/@keys"),
            ("name:hidden@issuer/keys", "issuer/keys"),
        ] {
            let login = login(&[("JWT_JWKS_URL", url)]).unwrap();
            assert_eq!(login.to_string(), format!("the keys at {expected}"));
            assert!(!format!("{login:?}").contains("hidden"));
        }
    }

    #[test]
    fn ambiguous_key_is_rejected() {
        assert_eq!(login(&[("JWT_SECRET_ARN", "arn:aws:x")]), Err(LoginError::SecretOfAws));
        let both = [("JWT_SECRET", "s"), ("JWT_JWKS_URL", "https://issuer/keys")];
        assert_eq!(login(&both), Err(LoginError::TwoKeySources));
    }
}
