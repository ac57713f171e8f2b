//! What `igpt-cam` carries: nothing of tract that no model file can ask for.

mod program;

use std::fs;
use std::path::Path;

/// Runs of bytes in the program, its symbols among them.
fn holds(program: &[u8], name: &str) -> bool {
    program
        .windows(name.len())
        .any(|bytes| bytes == name.as_bytes())
}

#[test]
fn none_of_tracts_own_operators_is_linked() {
    let program = program::cam(Path::new("."));
    let program = fs::read(program.get_program()).unwrap();
    assert!(
        holds(&program, "tract_core"),
        "it is stripped: there are no symbols to look at"
    );
    // A product of matrices, a convolution and a Fourier transform, as tract's crates name what they are made of.
    for name in ["EinSum", "LazyIm2Col", "FftPlanner"] {
        assert!(
            !holds(&program, name),
            "{name} is linked: something registers it, or tract's optimiser is back (docs/building.md)"
        );
    }
}
