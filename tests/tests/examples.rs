//! The examples of the runtime run on what the repository ships, as their first lines say.

// Where the tests run under an emulator, cargo would build examples for the machine around it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod convert;
mod programs;

use std::fs::{self, File};
use std::process::Command;

use igpt_runtime::{Dtype, image_io};
use programs::{native, root, run};

fn example(name: &str) -> Command {
    let mut command = Command::new(native("--example", name));
    command.current_dir(root());
    command
}

#[test]
fn classify_names_the_shipped_picture() {
    let said = run(&mut example("classify"));
    let mut lines = said.lines();
    assert!(
        lines
            .next()
            .is_some_and(|line| line.ends_with("0000-ankle-boot.png"))
    );
    assert!(
        lines
            .next()
            .is_some_and(|line| line.ends_with(" %  Ankle boot")),
        "{said}"
    );
    assert_eq!(lines.count(), 2, "three classes: {said}");
}

#[test]
fn complete_leaves_the_upper_half_and_paints_the_lower() {
    let (folder, model) = convert::language_model(Dtype::Int8);
    let out = folder.path().join("completed.ppm");
    let picture = root().join("models/fashion-mnist/sample/0000-ankle-boot.png");
    let mut complete = example("complete");
    run(complete.arg(model).arg(&picture).arg(&out));
    let (painted, original) = (image_io::decode_file(&out), image_io::decode_file(&picture));
    let (painted, original) = (painted.expect("a picture"), original.expect("a picture"));
    assert_eq!((painted.width(), painted.height()), (14, 14));
    let half = painted.rgb().len() / 2;
    let (upper, lower) = painted.rgb().split_at(half);
    assert!(upper.iter().any(|x| *x > 0) && lower.iter().any(|x| *x > 0));
    // A boot's shaft is in the upper half of the picture and of what became of it.
    let bright = |rgb: &[u8]| rgb.iter().map(|x| u64::from(*x)).sum::<u64>() / rgb.len() as u64;
    let shown = bright(&original.rgb()[..original.rgb().len() / 2]);
    assert!(
        bright(upper).abs_diff(shown) < 24,
        "{} and {shown}",
        bright(upper)
    );
}

#[test]
fn stream_says_something_of_every_frame() {
    let stream = root().join("tests/golden/streams/ffmpeg.mjpeg");
    let bytes = fs::read(&stream).expect("a stream");
    let frames = bytes
        .windows(3)
        .filter(|it| *it == [0xff, 0xd8, 0xff])
        .count();
    let mut command = example("stream");
    let said = run(command.stdin(File::open(stream).expect("a stream")));
    assert!(frames > 1);
    assert_eq!(said.lines().count(), frames, "{said}");
    assert!(said.starts_with("frame 1: "), "{said}");
}
