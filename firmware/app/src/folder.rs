//! Folders that outputs go to.

use std::fs;
use std::io;
use std::path::Path;

/// Creates a folder and those above it.
///
/// # Errors
/// As [`fs::create_dir_all`]. Of a link to nothing that says "File exists", here it says what is missing: where
/// the link leads is not created, for it may be a disk that is not mounted, and what fills up then is another.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|error| {
        // A final slash would ask for what the link leads to.
        let parts = path.components().as_path().ancestors();
        let mut links = parts.filter_map(|part| Some((part, fs::read_link(part).ok()?)));
        match links.find(|(link, _)| !link.exists()) {
            Some((link, target)) => io::Error::new(
                error.kind(),
                format!(
                    "{} is a link to {}, which is not there; make that folder, or mount its disk",
                    link.display(),
                    target.display()
                ),
            ),
            None => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::create;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_to_nothing_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("out");
        symlink("usb/out", &link).unwrap();
        for path in [link.clone(), link.join(""), link.join("deeper/yet")] {
            let message = create(&path).expect_err("a link to nothing").to_string();
            assert!(message.contains("is a link to usb/out"), "{message}");
        }
        assert!(link.is_symlink() && !dir.path().join("usb").exists());
        fs::create_dir_all(dir.path().join("usb/out")).unwrap();
        create(&link.join("deeper")).unwrap();
        assert!(dir.path().join("usb/out/deeper").is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        let message = create(&dir.path().join("file")).unwrap_err().to_string();
        assert!(!message.contains("link"), "{message}");
    }
}
