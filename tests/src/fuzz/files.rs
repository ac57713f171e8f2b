//! Bytes as a file, for parsers that take a path: in memory, where a million of them wear nothing out.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

thread_local! {
    static FOLDER: OnceCell<PathBuf> = const { OnceCell::new() };
}

/// This thread's folder, in memory where Linux has one; it outlives the process, as a fuzzer ends in the middle.
fn folder() -> PathBuf {
    FOLDER.with(|folder| {
        let make = || {
            let memory = Path::new("/dev/shm");
            let parent = match memory.is_dir() {
                true => memory.to_owned(),
                false => std::env::temp_dir(),
            };
            let thread = format!("{:?}", std::thread::current().id());
            let digits: String = thread.chars().filter(char::is_ascii_digit).collect();
            let path = parent.join(format!("igpt-fuzz-{}-{digits}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder for the files that are tried");
            path
        };
        folder.get_or_init(make).clone()
    })
}

/// Writes `files` into a folder that holds nothing else, runs `try_it` on that folder, and removes it.
pub(super) fn with_files(files: &[(&str, &[u8])], try_it: impl FnOnce(&Path)) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("a folder for the files that are tried");
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("a file that is tried");
    }
    try_it(&folder);
    fs::remove_dir_all(&folder).expect("the folder is ours");
}
