//! Where the hub's Python library keeps models, so that both find what the other has fetched:
//! `models--OWNER--NAME/{blobs/HASH, refs/REVISION, snapshots/COMMIT/FILE}`, a file being a link to a blob.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hf_hub::{Cache, CacheRepo};

use super::name::{HubName, is_hash};

/// One model in the cache.
#[derive(Debug)]
pub(super) struct ModelCache {
    hub: Cache,
    name: HubName,
}

impl ModelCache {
    /// In the folder of all models.
    pub(super) fn of(name: &HubName, root: &Path) -> anyhow::Result<Self> {
        // Links go from one folder of the cache to another: where the cache is must not depend on where we
        // are.
        let root = std::path::absolute(root).context("the cache's folder")?;
        Ok(Self {
            hub: Cache::new(root),
            name: name.clone(),
        })
    }

    fn at(&self, revision: &str) -> CacheRepo {
        self.hub.repo(self.name.at(revision))
    }

    /// Where a file of this hash is kept, which must be a hash: it is joined to a path.
    pub(super) fn blob(&self, hash: &str) -> PathBuf {
        self.at(&self.name.revision).blob_path(hash)
    }

    /// The folder of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.at(commit).pointer_path(commit)
    }

    /// The folder of the commit that the name was when it was last asked for, or that it is.
    pub(super) fn newest(&self) -> Option<PathBuf> {
        let revision = &self.name.revision;
        if is_hash(revision, 40) {
            return Some(self.snapshot(revision));
        }
        let config = self.at(revision).get("config.json")?;
        config.parent().map(Path::to_owned)
    }

    /// Notes what commit the name is now.
    pub(super) fn set_commit(&self, commit: &str) -> io::Result<()> {
        let revision = &self.name.revision;
        if is_hash(revision, 40) {
            return Ok(());
        }
        self.at(revision).create_ref(commit)
    }

    /// Makes `file` of a commit the blob `hash`, by a relative link as Python's library does.
    pub(super) fn link(&self, commit: &str, file: &str, hash: &str) -> io::Result<()> {
        let snapshot = self.snapshot(commit);
        fs::create_dir_all(&snapshot)?;
        let target = Path::new("../../blobs").join(hash);
        let link = snapshot.join(file);
        if fs::read_link(&link).is_ok_and(|old| old == target) {
            return Ok(());
        }
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(target, link)
    }
}
