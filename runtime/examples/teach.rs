//! Teaches classes from a few pictures each, and says what another one is:
//!
//!     cargo run --release -p igpt-runtime --example teach -- MODEL.onnx PICTURE LABEL=PICTURE LABEL=PICTURE...

use igpt_heads::{Examples, Layer, Taught};
use igpt_runtime::{AutoModel, LoadOptions, image_io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: teach MODEL.onnx PICTURE LABEL=PICTURE...";
    let model = AutoModel::load(arguments.next().ok_or(usage)?, &LoadOptions::new())?;
    let picture = arguments.next().ok_or(usage)?;
    // A layer past the middle: the last ones are busy with what the model itself is for.
    let number = (2 * model.layers().end()).div_ceil(3);
    let width = model.width(number).ok_or("no such layer")?;
    let mut session = model.feature_session(&[number])?;
    let mut examples = Examples::new(vec![Layer { number, width }]);
    for argument in arguments {
        let (label, file) = argument.split_once('=').ok_or(usage)?;
        let features = session.features_image(&image_io::decode_file(file)?)?;
        let showing = examples.begin(Some(label))?;
        examples.add(showing, Some(label), &[&features.layers[0]])?;
    }
    let head = Taught::train(&examples, number)?.ok_or(usage)?;
    let features = session.features_image(&image_io::decode_file(picture)?)?;
    let seen = head.recognise(&features.layers[0]);
    let label = if seen.none {
        "none of these"
    } else {
        head.labels()[seen.class].as_str()
    };
    println!("{label} ({:.1} %)", 100.0 * seen.score);
    if let Some(accuracy) = head.assessment().accuracy {
        println!("each without itself: {:.0} % right", 100.0 * accuracy);
    }
    Ok(())
}
