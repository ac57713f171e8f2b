//! What the training step costs after an example, by itself: 100 examples of five classes and twenty of none, six layers of 128 features, all
//! that `igpt-cam` does with them but for writing the file.
//!
//!     cargo run --release -p igpt-heads --example train [EXAMPLES [WIDTH]]

use std::time::Instant;

use igpt_heads::{Examples, Layer, Taught};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (count, width) = (number(100)?, number(128)?);
    let layers: Vec<_> = (1..=6).map(|number| Layer { number, width }).collect();
    let mut examples = Examples::new(layers);
    let mut random = 1u64;
    // The sum of three: near enough to normal.
    let mut noise = || {
        let mut one = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        one() + one() + one()
    };
    for index in 0..count + 20 {
        let class = index % 5;
        let label = format!("class {class}");
        let label = (index < count).then_some(label.as_str());
        let showing = examples.begin(label)?;
        let mut layer = |seed: usize| -> Vec<f32> {
            let mean = |i: usize| {
                if label.is_some() {
                    ((i * (class + 2) + seed) as f32).sin()
                } else {
                    0.0
                }
            };
            (0..width).map(|i| 0.5 * mean(i) + noise()).collect()
        };
        let features: Vec<Vec<f32>> = (0..6).map(&mut layer).collect();
        let features: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        examples.add(showing, label, &features)?;
    }
    let begun = Instant::now();
    let head = Taught::train(&examples, 4)?.ok_or("no class")?;
    let spent = begun.elapsed();
    println!(
        "{count} examples, {width} features: {:.3} s, {:?} at layer {}, {:.0} % right without themselves",
        spent.as_secs_f64(),
        head.method(),
        head.layer().number,
        100.0 * head.assessment().accuracy.unwrap_or_default()
    );
    Ok(())
}
