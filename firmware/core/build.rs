//! Sets the log level compiled in.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // defmt decides at compile time which log points exist, and keeps errors only unless told.
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if std::env::var_os("DEFMT_LOG").is_none() {
        println!("cargo::rustc-env=DEFMT_LOG=info");
    }
}
