//! Features of pictures: those of whole passes, bit for bit, whatever was reused, and in every family.

use igpt_runtime::{
    AutoFeatureSession, AutoModel, Error, ImageGptModel, LoadOptions, SegformerModel,
    StabilizerOptions, image_io,
};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/fashion-mnist");

fn picture(name: &str) -> igpt_runtime::DecodedImage {
    image_io::decode_file(format!("{MODELS}/sample/{name}.png")).unwrap()
}

/// The mean of rows, each divided by its root mean square if `epsilon` is given.
fn mean(rows: &[f32], width: usize, epsilon: Option<f64>) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
        let root = epsilon.map_or(1.0, |e| (squares / width as f64 + e).sqrt());
        let row = row.iter().map(|x| f64::from(*x) / root);
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    let count = (rows.len() / width) as f64;
    sums.iter().map(|sum| sum / count).collect()
}

fn near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let off = (f64::from(*found) - expected).abs();
        assert!(off < 1e-6 * expected.abs().max(1.0), "{found} {expected}");
    }
}

#[test]
fn those_of_an_imagegpt_are_means_of_its_hidden_states() {
    let file = format!("{MODELS}/igpt-fashion-mnist-int8.onnx");
    let model = ImageGptModel::load(file, &LoadOptions::new().with_threads(1)).unwrap();
    let config = model.config().clone();
    let image = picture("0001-pullover");
    let tokens = model
        .processor()
        .unwrap()
        .tokens_from_image(&image)
        .unwrap();
    let whole = model.forward(&[&tokens]).unwrap().hidden_states;
    let layers = [6, 0, 3];
    let mut session = model.feature_session(&layers).unwrap();
    let features = session.features_image(&image).unwrap();
    assert_eq!(features.changed_tokens, tokens.len());
    for (layer, found) in layers.iter().zip(&features.layers) {
        let epsilon = (*layer < config.n_layer).then(|| f64::from(config.epsilon()));
        near(found, &mean(&whole[*layer], config.n_embd, epsilon));
    }
    // Fewer blocks give the same bits.
    let mut one = model.feature_session(&[3]).unwrap();
    assert_eq!(one.features(&tokens).unwrap().layers[0], features.layers[2]);
    // The same picture again is not computed.
    let again = session.features_image(&image).unwrap();
    assert_eq!(
        (again.reused_tokens, again.changed_tokens),
        (tokens.len(), 0)
    );
    assert_eq!(again.layers, features.layers);
}

#[test]
fn what_a_stream_reuses_does_not_change_a_bit() {
    let file = format!("{MODELS}/igpt-fashion-mnist-int8.onnx");
    let model = ImageGptModel::load(file, &LoadOptions::new().with_threads(1)).unwrap();
    let mut stream = model.feature_session(&[2, 5]).unwrap();
    stream.stabilize(Some(StabilizerOptions::default()));
    let image = picture("0001-pullover");
    let mut rgb = image.rgb().to_vec();
    let (width, height) = (image.width(), image.height());
    let mut reused = 0;
    for frame in 0..6 {
        // Something that moves in the lower half.
        for x in 0..width {
            let at = ((height * 3 / 4) * width + x) * 3;
            rgb[at..at + 3].fill(((x * 9 + frame * 40) % 256) as u8);
        }
        let mut tokens = Vec::new();
        stream
            .tokens_into(&rgb, width, height, &mut tokens)
            .unwrap();
        let features = stream.features(&tokens).unwrap();
        reused += features.reused_tokens;
        let mut fresh = model.feature_session(&[2, 5]).unwrap();
        assert_eq!(
            features.layers,
            fresh.features(&tokens).unwrap().layers,
            "{frame}"
        );
    }
    assert!(reused > 0, "nothing was reused");
    assert!(stream.features(&[]).is_err());
    assert!(stream.features(&[60_000]).is_err());
}

#[test]
fn those_of_a_mix_transformer_are_means_of_its_maps() {
    let file = format!("{MODELS}/mit-fashion-mnist-int8.onnx");
    let model = SegformerModel::load(file, &LoadOptions::new().with_threads(1)).unwrap();
    let image = picture("0000-ankle-boot");
    let (width, height) = (image.width(), image.height());
    let processor = model.processor().unwrap();
    let values = processor.pixel_values(image.rgb(), width, height).unwrap();
    let maps = model.forward(&values).unwrap().hidden_states;
    let widths = model.config().hidden_sizes.clone();
    let mut session = model.feature_session(&[1, 2, 3, 4]).unwrap();
    let features = session.features_image(&image).unwrap();
    for (stage, found) in features.layers.iter().enumerate() {
        near(found, &mean(&maps[stage], widths[stage], None));
    }
    let mut one = model.feature_session(&[2]).unwrap();
    assert_eq!(
        one.features_image(&image).unwrap().layers[0],
        features.layers[1]
    );
    assert_eq!(session.features_image(&image).unwrap(), features);
}

#[test]
fn a_layer_that_is_not_there_is_refused_by_name() {
    for (file, layers, wrong) in [
        ("igpt-fashion-mnist-int8.onnx", 0..=6, 7),
        ("mit-fashion-mnist-int8.onnx", 1..=4, 0),
    ] {
        let model = AutoModel::load(format!("{MODELS}/{file}"), &LoadOptions::new()).unwrap();
        assert_eq!(model.layers(), layers);
        assert!(layers.clone().all(|layer| model.width(layer).is_some()));
        assert_eq!(model.width(wrong), None);
        let error = model.feature_session(&[wrong]).unwrap_err();
        assert!(matches!(error, Error::Layer { .. }));
        let (text, first, last) = (error.to_string(), layers.start(), layers.end());
        let expected = format!("layer {wrong}, expected {first} to {last}");
        assert!(text.contains(&expected), "{text}");
        assert!(model.feature_session(&[]).is_err());
        let session = model.feature_session(&[*last]).unwrap();
        assert_eq!(
            file.starts_with('i'),
            matches!(session, AutoFeatureSession::ImageGpt(_))
        );
    }
}
