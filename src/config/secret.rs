//! Secrets: they come from the environment or from a file of their own, and are never shown.

use std::fmt;

use super::{Fault, Origin, Origins, Server};

/// The variable that holds the operators' token itself.
const OPS_TOKEN_ENV: &str = "TESSERA__SERVER__OPS_TOKEN";

/// Bytes of a file that holds a secret. A larger one is the wrong file.
const SECRET_FILE_BYTES_MAX: u64 = 4_096;

/// A text that no log, no fault and no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Compare it in constant time, and never print it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// Takes the token out of the environment before anything else looks at it. Set but empty counts as not set, which is
/// how containers unset a variable.
pub(super) fn take_from_env(env: &mut Vec<(String, String)>) -> Option<Secret> {
    let at = env.iter().position(|(name, _)| name.eq_ignore_ascii_case(OPS_TOKEN_ENV))?;
    let (_, text) = env.swap_remove(at);
    (!text.is_empty()).then(|| Secret::new(text))
}

/// The operators' token: the variable wins over the file that `server.ops_token_file` names. With it, where
/// it came from.
pub(super) fn resolve(
    env: Option<Secret>,
    server: &Server,
    origins: &Origins,
    faults: &mut Vec<Fault>,
) -> (Option<Secret>, Origin) {
    let (found, path, origin) = match (env, server.ops_token_file.as_str()) {
        (Some(token), _) => (Ok(token), "server.ops_token", Origin::Env(OPS_TOKEN_ENV.into())),
        (None, "") => return (None, Origin::Default),
        (None, file) => (from_file(file), "server.ops_token_file", origins.of("server.ops_token_file")),
    };
    let usable = found.and_then(|token| match token.reveal().bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(token),
        false => Err("the token holds a space or a character that no HTTP header carries".to_owned()),
    });
    match usable {
        Ok(token) => (Some(token), origin),
        Err(message) => {
            faults.push(Fault { path: path.into(), origin: origin.clone(), message });
            (None, origin)
        }
    }
}

fn from_file(file: &str) -> Result<Secret, String> {
    let cannot = |why: String| format!("cannot read the token from {file:?}: {why}");
    let len = std::fs::metadata(file).map_err(|err| cannot(err.to_string()))?.len();
    if len > SECRET_FILE_BYTES_MAX {
        return Err(cannot(format!("{len} bytes, expected at most {SECRET_FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|err| cannot(err.to_string()))?;
    // Editors and `echo` end a file with a newline that nobody meant.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(cannot("it is empty".into())),
        token => Ok(Secret::new(token)),
    }
}
