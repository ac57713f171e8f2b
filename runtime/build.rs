//! Compiles the C part of the JPEG decoder against the headers of the libjpeg that mozjpeg-sys built.

fn main() {
    println!("cargo::rerun-if-changed=src/jpeg/shim.c");
    #[cfg(feature = "jpeg")]
    compile();
}

#[cfg(feature = "jpeg")]
fn compile() {
    use std::env;

    let include = env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys tells where its headers are");
    cc::Build::new()
        .file("src/jpeg/shim.c")
        .includes(env::split_paths(&include))
        .warnings(true)
        .compile("igpt_jpeg_shim");
}
