//! Labelled images without a download: the default model's sample, each picture many times with other noise.

use std::path::{Path, PathBuf};

use igpt_runtime::image_io;

use crate::images::mix;

/// The pictures of the default model's sample, in the order of their names.
///
/// # Panics
/// If they cannot be listed.
#[must_use]
pub fn sample() -> Vec<PathBuf> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../models/fashion-mnist/sample"
    );
    let folder = std::fs::read_dir(folder).expect("the sample");
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "png"))
        .collect();
    files.sort();
    files
}

/// Writes `copies` of each into `folder`, in a folder a class, which is in a picture's name.
///
/// # Panics
/// If they cannot be written.
pub fn write(folder: &Path, copies: u64) {
    for (index, path) in sample().iter().enumerate() {
        let picture = image_io::decode_file(path).expect("a picture");
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name
            .expect("a name")
            .trim_matches(|c: char| c.is_ascii_digit() || c == '-');
        let class = folder.join(name);
        std::fs::create_dir_all(&class).expect("a folder");
        for copy in 0..copies {
            let noise = mix(copy << 32 | index as u64).map(|z| (z >> 60) as i32 - 8);
            let greys = picture.rgb().as_chunks::<3>().0.iter();
            let noisy = greys.zip(noise).flat_map(|([grey, ..], noise)| {
                [(i32::from(*grey) + noise).clamp(0, 255) as u8; 3]
            });
            let mut pnm = format!("P6 {} {} 255\n", picture.width(), picture.height()).into_bytes();
            pnm.extend(noisy);
            std::fs::write(class.join(format!("{index:02}-{copy:02}.ppm")), pnm).expect("a file");
        }
    }
}
