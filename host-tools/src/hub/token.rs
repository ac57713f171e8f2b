//! The secret that private and gated models want, found where Python's library finds it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use ureq::http::HeaderValue;

use super::environment::{home, is_space, is_true, user_cache};
use super::expand::{self, Variables};

/// The variable that keeps the token back.
pub(super) const KEEPS_BACK: &str = "HF_HUB_DISABLE_IMPLICIT_TOKEN";

/// Whether there is a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody has given one.
    None,
    /// HF_HUB_DISABLE_IMPLICIT_TOKEN is set, so that none is sent.
    KeptBack,
    /// One, and where it is from.
    Token(Token),
}

/// A token. It is printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    /// A variable's name or a file's.
    pub from: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token from {}", self.from)
    }
}

impl Token {
    /// As a request carries it.
    ///
    /// # Errors
    /// A character that no header can hold.
    pub fn header(&self) -> anyhow::Result<HeaderValue> {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.secret));
        let mut value = value.map_err(|_| {
            anyhow!(
                "{}: a token with characters that no token has: copy it once more",
                self.from
            )
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// This process's.
pub(super) fn of_process() -> anyhow::Result<Credentials> {
    find(&|name| env::var_os(name))
}

/// From HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else the file where `hf auth login` leaves it: HF_TOKEN_PATH, or
/// `token` in HF_HOME.
///
/// # Errors
/// A token file that is there but cannot be read, a token that is not UTF-8, a wish for tokens that we cannot fetch.
pub fn find(variables: Variables<'_>) -> anyhow::Result<Credentials> {
    if is_true(variables(KEEPS_BACK).as_deref()) {
        return Ok(Credentials::KeptBack);
    }
    if variables("HF_OIDC_RESOURCE").is_some_and(|value| !value.is_empty()) {
        bail!(
            "HF_OIDC_RESOURCE is set, and igpt does not exchange OIDC tokens: unset it and set HF_TOKEN, or set \
             {KEEPS_BACK}=1 for a public model"
        );
    }
    let found = match from_variables(variables)? {
        None => from_file(variables)?,
        found => found,
    };
    Ok(found.map_or(Credentials::None, Credentials::Token))
}

/// The second counts where the first is empty or not set. One of spaces alone hides it, and is no token either.
fn from_variables(variables: Variables<'_>) -> anyhow::Result<Option<Token>> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        let Some(value) = variables(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let text = value.into_string();
        let text = text.map_err(|_| anyhow!("{name}: not UTF-8, as every token is"))?;
        return Ok(clean(&text, name));
    }
    Ok(None)
}

fn from_file(variables: Variables<'_>) -> anyhow::Result<Option<Token>> {
    let path = match path(variables) {
        // Python's empty path is the working folder.
        path if path.is_empty() => PathBuf::from("."),
        path => PathBuf::from(path),
    };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(clean(&text, &path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| {
            let path = path.display();
            format!("{path}: the file of the hub's token (HF_TOKEN_PATH or HF_HOME names another)")
        }),
    }
}

fn path(variables: Variables<'_>) -> OsString {
    if is_true(variables("HUGGINGFACE_CO_STAGING").as_deref()) {
        let folder = Path::new(&user_cache(variables)).join("huggingface_staging");
        return folder.join("token").into_os_string();
    }
    let path = variables("HF_TOKEN_PATH")
        .unwrap_or_else(|| Path::new(&home(variables)).join("token").into_os_string());
    expand::expand(&path, variables)
}

/// Without the line ends that copying brings, wherever they are, and without spaces around it.
fn clean(text: &str, from: &str) -> Option<Token> {
    let text = text.replace(['\r', '\n'], "");
    let secret = text.trim_matches(is_space);
    (!secret.is_empty()).then(|| Token {
        secret: secret.to_owned(),
        from: from.to_owned(),
    })
}
