//! The heads beside scikit-learn's: tests/golden/taught.py made what they are held to.

use igpt_heads::{Examples, Layer, Logistic, Method, NearestMean, Samples, Taught};
use serde_json::Value;

fn golden() -> Value {
    let text = include_str!("../../../tests/golden/taught.json");
    serde_json::from_str(text).unwrap()
}

fn numbers(golden: &Value, key: &str) -> Vec<f64> {
    let list = golden[key].as_array().unwrap().iter();
    list.map(|x| x.as_f64().unwrap()).collect()
}

fn floats(golden: &Value, key: &str) -> Vec<f32> {
    numbers(golden, key).into_iter().map(|x| x as f32).collect()
}

fn near(found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < within, "{found} {expected}");
    }
}

#[test]
fn means_regression_and_distances_are_scikit_learns() {
    let golden = golden();
    let width = golden["width"].as_u64().unwrap() as usize;
    let (features, queries) = (floats(&golden, "features"), floats(&golden, "queries"));
    let labels: Vec<usize> = numbers(&golden, "labels")
        .iter()
        .map(|x| *x as usize)
        .collect();
    let samples = Samples {
        features: &features,
        width,
        labels: &labels,
    };
    let means = NearestMean::fit(&samples, 3, &[]).unwrap();
    let rows = || queries.chunks_exact(width);
    let found: Vec<f64> = rows().flat_map(|row| means.similarities(row)).collect();
    near(&found, &numbers(&golden, "similarities"), 1e-9);

    let head = Logistic::fit(&samples, 3, 1.0).unwrap().head;
    let softmax = |row: &[f32]| {
        let powers: Vec<f64> = head.logits(row).iter().map(|x| x.exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |x| x / sum).collect::<Vec<_>>()
    };
    let found: Vec<f64> = rows().flat_map(softmax).collect();
    near(&found, &numbers(&golden, "probabilities"), 1e-3);
}

#[test]
fn whole_showings_are_left_out_as_leave_one_group_out_does() {
    let golden = golden();
    let width = golden["width"].as_u64().unwrap() as usize;
    let features = floats(&golden, "features");
    let (labels, showings) = (numbers(&golden, "labels"), numbers(&golden, "showings"));
    let mut examples = Examples::new(vec![Layer { number: 1, width }]);
    let (mut last, mut showing) = (None, 0);
    for ((row, label), of) in features.chunks_exact(width).zip(&labels).zip(&showings) {
        let label = format!("{label}");
        if last.replace(of) != Some(of) {
            showing = examples.begin(Some(&label)).unwrap();
        }
        examples.add(showing, Some(&label), &[row]).unwrap();
    }
    let head = Taught::train(&examples, 1).unwrap().unwrap();
    // By regression, in folds of several showings; by the means as scikit-learn says.
    assert_eq!(head.method(), Method::LogisticRegression);
    let accuracy = golden["accuracy_without_the_showing"].as_f64().unwrap();
    let found = head.means_accuracy().unwrap();
    assert!((found - accuracy).abs() < 1e-12, "{found} {accuracy}");
    assert_eq!(head.assessment().of, 9);
    let expected = numbers(&golden, "distances");
    let queries = floats(&golden, "queries");
    let gate = head.gate().unwrap();
    let found: Vec<f64> = queries
        .chunks_exact(width)
        .map(|row| gate.distance(row))
        .collect();
    near(&found, &expected, 1e-9);
}
