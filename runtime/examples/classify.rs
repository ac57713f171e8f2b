//! What a model of either family says of pictures: `cargo run --release -p igpt-runtime --example classify -- MODEL PICTURE...`, from the
//! root of the repository by default with the model and a picture that it ships.
//!
//! A session keeps nothing of one picture that changes what it says of the next; it saves work where two begin alike.

use igpt_runtime::{AutoModelForImageClassification, LoadOptions, image_io};

const MODEL: &str = "models/fashion-mnist/igpt-fashion-mnist-int8.onnx";
const PICTURE: &str = "models/fashion-mnist/sample/0000-ankle-boot.png";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| MODEL.to_owned());
    let mut pictures: Vec<String> = arguments.collect();
    if pictures.is_empty() {
        pictures.push(PICTURE.to_owned());
    }

    // One thread a core, and the fastest instruction set of this machine; the bits are the same on any.
    let model = AutoModelForImageClassification::load(&file, &LoadOptions::new())?;
    let mut session = model.session()?;
    for picture in pictures {
        // Any format and size: the processor inside the file makes the tokens or pixels that the model was trained on.
        let image = image_io::decode_file(&picture)?;
        let verdict = session.classify_image(&image)?;
        println!("{picture}");
        for best in verdict.top_k(3) {
            println!("  {:>8}  {}", best.score, best.label);
        }
    }
    Ok(())
}
