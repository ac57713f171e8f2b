//! What a model is called on the hub: `owner/name`, or `owner/name@revision`.

use std::fmt;

use hf_hub::{Repo, RepoType};

/// A well-formed name. Nothing in it can leave the folder or the address that it becomes part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// `owner/name`.
    pub repo: String,
    /// A branch, a tag, `refs/pr/1`, or a commit; `main` if none is given.
    pub revision: String,
}

impl HubName {
    /// The name that `text` is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (repo, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (owner, name) = repo.split_once('/')?;
        // A model file that is not there is no checkpoint on the hub.
        let good = is_plain(owner)
            && is_plain(name)
            && !name.ends_with(".onnx")
            && revision.split('/').all(is_plain);
        good.then(|| Self {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The model at one of its revisions, as hf-hub knows it.
    pub(super) fn at(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, revision.to_owned())
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repo, self.revision)
    }
}

/// Whether this may be one segment of a path or an address: no separator, not hidden, and no `..`.
pub(super) fn is_plain(segment: &str) -> bool {
    (1..=200).contains(&segment.len())
        && !segment.starts_with(['.', '-'])
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether this is a hash of so many hexadecimal digits, in lower case as git and the hub write them.
pub(super) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let name = HubName::parse("openai/imagegpt-small").unwrap();
        assert_eq!(
            (&*name.repo, &*name.revision),
            ("openai/imagegpt-small", "main")
        );
        let name = HubName::parse("a/b@refs/pr/1").unwrap();
        assert_eq!((&*name.repo, &*name.revision), ("a/b", "refs/pr/1"));
        assert_eq!(
            name.at(&name.revision).api_url(),
            "models/a/b/revision/refs%2Fpr%2F1"
        );
        for path in [
            "small",
            "./small",
            "../small",
            "a/../b",
            "/a/b",
            "a/b/c",
            "a/",
            "/b",
            "",
            "a/b@",
            "a/b@../x",
            "a/b@x//y",
            "a/b@-x",
            "~/b",
            "a b/c",
            "a/b?c",
            "a/b%2f",
            "out/model.onnx",
            "a/b@.",
            "a/b@x@y",
        ] {
            assert_eq!(HubName::parse(path), None, "{path}");
        }
    }
}
