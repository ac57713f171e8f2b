//! Paints the lower half of a picture with a language model, which the repository ships as a checkpoint:
//!
//!     cargo run --release -p igpt-tools -- quantize models/fashion-mnist/lm -o lm.onnx
//!     cargo run --release -p igpt-runtime --example complete -- lm.onnx PICTURE completed.ppm
//!
//! A picture is a sequence of tokens, one a pixel from the top left; the model goes on where they stop.

use std::fs;

use igpt_runtime::{GenerationConfig, ImageGptForCausalImageModeling, LoadOptions, image_io};

const MODEL: &str = "lm.onnx";
const PICTURE: &str = "models/fashion-mnist/sample/0000-ankle-boot.png";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (file, picture, out) = (next(MODEL), next(PICTURE), next("completed.ppm"));

    let model = ImageGptForCausalImageModeling::load(&file, &LoadOptions::new())?;
    let processor = model
        .model()
        .processor()
        .ok_or("a model without an image processor")?;
    let tokens = processor.tokens_from_image(&image_io::decode_file(&picture)?)?;

    // Every sequence begins with the start token; then the upper half, as it is.
    let mut context = vec![model.start_token()];
    context.extend(&tokens[..tokens.len() / 2]);
    let how = GenerationConfig::new()
        .with_max_length(Some(1 + tokens.len()))
        .with_do_sample(true)
        .with_top_k(40)
        .with_seed(1);
    let painted = model.generate(&context, &how)?;

    // The start token is no pixel.
    let image = processor.decode_tokens(&painted[1..])?;
    let mut ppm = format!("P6 {} {} 255\n", image.width(), image.height()).into_bytes();
    ppm.extend(image.rgb());
    fs::write(&out, ppm)?;
    println!(
        "{out}: {} of {} pixels painted",
        tokens.len() - tokens.len() / 2,
        tokens.len()
    );
    Ok(())
}
