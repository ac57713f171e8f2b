//! The examples of the runtime run on what the repository ships, as their first lines say.

// Where the tests run under an emulator, cargo would build examples for the machine around it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod convert;
mod programs;

use std::fs::{self, File};
use std::process::Command;

use igpt_runtime::{Dtype, ImageGptModel, LoadOptions, image_io};
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
    run(complete.arg(&model).arg(&picture).arg(&out));
    let (painted, original) = (image_io::decode_file(&out), image_io::decode_file(&picture));
    let (painted, original) = (painted.expect("a picture"), original.expect("a picture"));
    assert_eq!((painted.width(), painted.height()), (14, 14));
    // What the model was shown of the picture is there to the bit.
    let model = ImageGptModel::load(&model, &LoadOptions::new()).expect("the language model");
    let processor = model.processor().expect("an image processor");
    let tokens = processor.tokens_from_image(&original).expect("tokens");
    let shown = processor.decode_tokens(&tokens).expect("its colours");
    let half = painted.rgb().len() / 2;
    assert_eq!(painted.rgb()[..half], shown.rgb()[..half]);
    assert!(painted.rgb()[half..].iter().any(|level| *level > 0));
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

#[test]
fn teach_says_which_of_the_taught_it_is() {
    let (_folder, model) = convert::language_model(Dtype::Int8);
    let sample = |name: &str| format!("models/fashion-mnist/sample/{name}.png");
    let mut teach = example("teach");
    teach.arg(&model).arg(sample("0003-trouser"));
    for name in [
        "0002-trouser",
        "0005-trouser",
        "0015-trouser",
        "0000-ankle-boot",
        "0023-ankle-boot",
        "0006-coat",
        "0010-coat",
    ] {
        let label = &name["0000-".len()..];
        teach.arg(format!("{label}={}", sample(name)));
    }
    let said = run(&mut teach);
    assert!(said.starts_with("trouser ("), "{said}");
}
