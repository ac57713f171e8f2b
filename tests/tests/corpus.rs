//! Every input that the fuzzer found interesting, run again: none may panic.

use std::fs;
use std::path::Path;

use igpt_tests::fuzz::TARGETS;

#[test]
fn no_kept_input_panics() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut inputs = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            // The name of the input, should this be what ends the test.
            eprintln!("{}", path.display());
            target(&bytes);
            inputs += 1;
        }
        assert!(inputs > 0, "{}: no inputs", folder.display());
    }
}
