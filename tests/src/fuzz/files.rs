//! Bytes as a file, for parsers that take a path: in memory, where a million of them wear nothing out.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A folder, and the names of the files that were last put into it.
struct Folder {
    folder: TempDir,
    names: Vec<String>,
}

thread_local! {
    static FOLDER: RefCell<Option<Folder>> = const { RefCell::new(None) };
}

/// In memory, where Linux has such a place.
fn new_folder() -> Folder {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    Folder {
        folder: folder.expect("a folder for the files that are tried"),
        names: Vec::new(),
    }
}

/// Runs `try_it` on a folder that holds `files` and nothing else. One folder serves all calls of a thread, as a fuzzer
/// makes millions.
pub(super) fn with_files(files: &[(&str, &[u8])], try_it: impl FnOnce(&Path) -> bool) -> bool {
    FOLDER.with_borrow_mut(|kept| {
        let Folder { folder, names } = kept.get_or_insert_with(new_folder);
        let path = folder.path();
        names.retain(|name| {
            let again = files.iter().any(|(file, _)| file == name);
            if !again {
                fs::remove_file(path.join(name)).expect("a file of ours");
            }
            again
        });
        for (name, bytes) in files {
            fs::write(path.join(name), bytes).expect("a file that is tried");
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        try_it(path)
    })
}
