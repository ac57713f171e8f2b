//! Paths as Python reads them from a variable: `~` and `~user` as `os.path.expanduser` takes them, `$NAME` and
//! `${NAME}` as `os.path.expandvars` does. What names nothing stays as it is written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use uzers::User;
use uzers::os::unix::UserExt;

/// A variable's value by its name.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// `os.path.expandvars(os.path.expanduser(path))`.
pub(super) fn expand(path: &OsStr, variables: Variables<'_>) -> OsString {
    expand_variables(&expand_user(path, variables), variables)
}

/// `os.path.expanduser`: HOME, be it empty, or the password file's home. A user that nobody knows stays as written.
pub(super) fn expand_user(path: &OsStr, variables: Variables<'_>) -> OsString {
    let Some(named) = path.as_bytes().strip_prefix(b"~") else {
        return path.to_owned();
    };
    let end = named.iter().position(|byte| *byte == b'/');
    let (user, rest) = named.split_at(end.unwrap_or(named.len()));
    let home = match user {
        b"" => variables("HOME")
            .or_else(|| Some(home_of(&uzers::get_user_by_uid(uzers::get_current_uid())?))),
        _ => uzers::get_user_by_name(OsStr::from_bytes(user)).map(|user| home_of(&user)),
    };
    let Some(home) = home else {
        return path.to_owned();
    };
    let mut expanded = home.into_vec();
    while expanded.last() == Some(&b'/') {
        expanded.pop();
    }
    expanded.extend_from_slice(rest);
    if expanded.is_empty() {
        expanded.push(b'/');
    }
    OsString::from_vec(expanded)
}

fn home_of(user: &User) -> OsString {
    user.home_dir().as_os_str().to_owned()
}

/// `os.path.expandvars`: what a variable holds is not looked at again.
fn expand_variables(path: &OsStr, variables: Variables<'_>) -> OsString {
    let mut rest = path.as_bytes();
    let mut expanded = Vec::with_capacity(rest.len());
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        let (before, from) = rest.split_at(at);
        expanded.extend_from_slice(before);
        let (name, length) = name(from);
        let (written, after) = from.split_at(length);
        match str::from_utf8(name).ok().and_then(variables) {
            Some(value) if !name.is_empty() => expanded.extend(value.into_vec()),
            _ => expanded.extend_from_slice(written),
        }
        rest = after;
    }
    expanded.extend_from_slice(rest);
    OsString::from_vec(expanded)
}

/// The name after the `$` that `from` begins with, and how many bytes to go on after.
fn name(from: &[u8]) -> (&[u8], usize) {
    let after = from.get(1..).unwrap_or_default();
    if let Some(braced) = after.strip_prefix(b"{") {
        let Some(end) = braced.iter().position(|byte| *byte == b'}') else {
            return (&[], 1);
        };
        return (braced.get(..end).unwrap_or_default(), end + 3);
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = after.iter().position(|byte| !is_word(byte));
    let end = end.unwrap_or(after.len());
    (after.get(..end).unwrap_or_default(), end + 1)
}

/// `pathlib.Path(path).expanduser()`, which takes a `~` that came out of a variable as well; none where that user
/// has no home, which is an error there.
pub(super) fn as_path(path: &OsStr, variables: Variables<'_>) -> Option<PathBuf> {
    let parts = Path::new(path).components();
    let path: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    let Some(Component::Normal(first)) = path.components().next() else {
        return Some(match path.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => path,
        });
    };
    if !first.as_bytes().starts_with(b"~") {
        return Some(path);
    }
    let home = expand_user(first, variables);
    if home.as_bytes().starts_with(b"~") {
        return None;
    }
    let rest: PathBuf = path.components().skip(1).collect();
    Some(Path::new(&home).join(rest))
}
