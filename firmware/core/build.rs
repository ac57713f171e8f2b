//! Sets the log level compiled in, and links the example with its board's memory map and defmt's sections.

use std::env::{self, VarError};
use std::path::{Path, PathBuf};

fn main() -> Result<(), VarError> {
    println!("cargo::rerun-if-changed=build.rs");
    set_log_level();
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    // Whoever makes a Linux program of this crate finds the path as DEP_IGPT_FIRMWARE_CORE_DEFMT_LINUX.
    let script = here.join("defmt-linux.x");
    println!("cargo::metadata=defmt_linux={}", script.display());
    let (os, arch) = (
        env::var("CARGO_CFG_TARGET_OS")?,
        env::var("CARGO_CFG_TARGET_ARCH")?,
    );
    link_example(&os, &arch, &here.join("examples/camera"), &script);
    Ok(())
}

/// defmt decides at compile time which log points exist, and keeps errors only unless told.
fn set_log_level() {
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if env::var_os("DEFMT_LOG").is_none() {
        println!("cargo::rustc-env=DEFMT_LOG=info");
    }
}

fn link_example(os: &str, arch: &str, example: &Path, script: &Path) {
    let link = |argument: String| println!("cargo::rustc-link-arg-examples={argument}");
    match (os, arch) {
        ("none", "aarch64") => {
            // image.ld is of aarch64-rt, defmt.x of defmt: both are on the linker's path.
            link("-Timage.ld".into());
            link(format!("-T{}", example.join("virt.ld").display()));
            link("-Tdefmt.x".into());
        }
        ("none", "arm") => {
            // link.x is of cortex-m-rt, and includes memory.x.
            link(format!("-L{}", example.display()));
            link("-Tlink.x".into());
            link("-Tdefmt.x".into());
            link("--nmagic".into());
        }
        ("linux", _) => {
            println!("cargo::rerun-if-changed={}", script.display());
            link(format!("-T{}", script.display()));
            link("-no-pie".into());
        }
        _ => {}
    }
}
