//! Links igpt-cam with defmt's sections, sets the log level compiled in, and lists the bundled
//! model and sample pictures for `include_bytes!`.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Below the workspace: what is embedded.
const MODEL: &str = "models/fashion-mnist/igpt-fashion-mnist-int8.onnx";
const SAMPLE: &str = "models/fashion-mnist/sample";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    set_log_level();
    link_defmt()?;
    embed(&here)
}

/// defmt decides at compile time which log points exist, and keeps errors only unless told.
fn set_log_level() {
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if env::var_os("DEFMT_LOG").is_none() {
        println!("cargo::rustc-env=DEFMT_LOG=info");
    }
}

/// A log point is sent as its address in the section `.defmt`. The linker script puts that section
/// at address 1, and the program must not be moved when it is loaded, or the addresses no longer
/// fit the ELF file that `defmt-print` looks them up in: hence no position independence.
fn link_defmt() -> Result<(), env::VarError> {
    let script = env::var("DEP_IGPT_FIRMWARE_CORE_DEFMT_LINUX")?;
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bin=igpt-cam=-T{script}");
    println!("cargo::rustc-link-arg-bin=igpt-cam=-no-pie");
    // rustc links a static program as static-pie, which -no-pie alone does not undo: it would crash at its start.
    if env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|features| features.contains("crt-static")) {
        println!("cargo::rustc-link-arg-bin=igpt-cam=-static");
    }
    Ok(())
}

/// Writes `embedded.rs`: the model and the sample pictures as byte strings.
fn embed(here: &Path) -> Result<(), Box<dyn Error>> {
    let root = here
        .ancestors()
        .nth(2)
        .ok_or("the firmware has no workspace around it")?;
    let mut code = String::new();
    let model = root.join(MODEL);
    println!("cargo::rerun-if-changed={}", model.display());
    if !model.is_file() {
        return Err(format!("{}: the model to embed is missing", model.display()).into());
    }
    writeln!(
        code,
        "pub(super) static MODEL: &[u8] = include_bytes!({model:?});"
    )?;
    let name = model
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or("bundled");
    writeln!(code, "pub(super) static MODEL_NAME: &str = {name:?};")?;

    let folder = root.join(SAMPLE);
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pictures = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "png") {
            pictures.push(path);
        }
    }
    pictures.sort();
    if pictures.is_empty() {
        return Err(format!(
            "{}: no .png file to embed as the sample stream",
            folder.display()
        )
        .into());
    }
    writeln!(code, "pub(super) static SAMPLE: &[(&str, &[u8])] = &[")?;
    for picture in &pictures {
        let name = picture
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("a sample's name is not UTF-8")?;
        writeln!(code, "    ({name:?}, include_bytes!({:?})),", picture)?;
    }
    writeln!(code, "];")?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"),
        code,
    )?;
    Ok(())
}
