//! Somebody who quantises a model of the hub on loopback.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

use super::Hub;

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/checkpoint")
        .join(name)
}

/// A user: an empty home, an empty folder to work in, and a hub.
pub(crate) struct User {
    pub(crate) folder: TempDir,
    pub(crate) endpoint: String,
}

impl User {
    pub(crate) fn of(hub: &Hub) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            endpoint: hub.endpoint(),
        }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("hub/models--some--model")
    }

    /// `igpt quantize NAME -o out.onnx`.
    pub(crate) fn quantize(&self, name: &str) -> Command {
        let mut command = Command::cargo_bin("igpt").unwrap();
        // Whatever the machine has set, a proxy and a token included.
        command
            .env_clear()
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path().join("home"))
            .env("HF_HOME", self.folder.path())
            .env("HF_ENDPOINT", &self.endpoint)
            .args(["quantize", name, "-o", "out.onnx"]);
        command
    }

    pub(crate) fn succeeds(&self, name: &str) {
        self.quantize(name).assert().success();
    }

    /// Fails with this code and a message that holds this, and leaves no file.
    pub(crate) fn fails(&self, name: &str, code: i32, says: &str) {
        let _ = fs::remove_file(self.folder.path().join("out.onnx"));
        let refused = self.quantize(name).assert().code(code);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(
            message.starts_with("igpt: ") && message.contains(says),
            "{message}"
        );
        assert!(!self.folder.path().join("out.onnx").exists());
    }

    pub(crate) fn blobs(&self) -> Vec<String> {
        let names = fs::read_dir(self.cache().join("blobs")).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
