//! Every input that the fuzzer found interesting, run again: none may panic, and each target takes some.

use std::fs;
use std::path::Path;

use igpt_tests::fuzz::TARGETS;

#[test]
fn no_kept_input_panics_and_every_target_takes_some() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut taken = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            // The name of the input, should this be what ends the test.
            eprintln!("{}", path.display());
            taken += usize::from(target(&bytes));
        }
        // A target that refuses everything tests nothing behind the refusal.
        assert!(taken > 0, "{}: no input is taken", folder.display());
    }
}
