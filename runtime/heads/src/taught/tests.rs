use super::*;
use crate::examples::Added;
use crate::folds::Counted;
use crate::gate::Calibration;

const WIDTH: usize = 4;

/// Points around a corner of a cube, the same on every machine.
fn around(class: usize, seed: u32) -> Vec<f32> {
    let noise = |i: usize| ((seed as f32 + 1.3) * (i as f32 + 2.1) * 12.9898).sin() * 0.3;
    (0..WIDTH)
        .map(|i| f32::from(u8::from(i == class)) * 2.0 + noise(i))
        .collect()
}

/// Layer 4 knows the classes, layer 1 nothing.
fn shown(list: &[(Option<usize>, u32)]) -> Examples {
    let layer = |number| Layer {
        number,
        width: WIDTH,
    };
    let mut examples = Examples::new(vec![layer(1), layer(4)]);
    for (class, seed) in list {
        let label = class.map(|class| format!("class {class}"));
        let showing = examples.begin(label.as_deref()).unwrap();
        let (blind, seeing) = (around(9, seed * 7 + 1), around(class.unwrap_or(3), *seed));
        let added = examples.add(showing, label.as_deref(), &[&blind, &seeing]);
        assert_eq!(added, Ok(Added::New));
    }
    examples
}

fn each(classes: usize, count: u32) -> Vec<(Option<usize>, u32)> {
    let all = (0..count).flat_map(|i| (0..classes).map(move |c| (Some(c), i * 10 + c as u32)));
    all.collect()
}

#[test]
fn nothing_shown_is_no_head_and_a_class_alone_is_one() {
    assert!(Taught::train(&shown(&[]), 4).unwrap().is_none());
    assert!(Taught::train(&shown(&[(None, 1)]), 4).unwrap().is_none());
    let head = Taught::train(&shown(&[(Some(0), 1)]), 4).unwrap().unwrap();
    let seen = head.recognise(&around(0, 2));
    assert_eq!(
        (seen.class, seen.score, seen.none, seen.limit),
        (0, 1.0, false, None)
    );
    assert_eq!(seen.probabilities, [1.0, 0.0]);
    assert_eq!(head.assessment().accuracy, None);
}

#[test]
fn a_few_are_told_by_means_and_more_by_a_regression() {
    for (count, method) in [(2, Method::NearestMean), (3, Method::LogisticRegression)] {
        let head = Taught::train(&shown(&each(3, count)), 4).unwrap().unwrap();
        assert_eq!(head.method(), method);
        assert_eq!(head.labels(), ["class 0", "class 1", "class 2"]);
        let assessment = head.assessment();
        assert_eq!(
            (assessment.accuracy, assessment.of),
            (Some(1.0), 3 * count as usize)
        );
        assert_eq!(assessment.counted, Counted::Showings);
        let linear = head.linear();
        for class in 0..3 {
            for seed in 200..220 {
                let features = around(class, seed);
                let seen = head.recognise(&features);
                assert_eq!(seen.class, class, "{seed}");
                assert_eq!(largest(&linear.logits(&features)), Some(class));
                let sum: f32 = seen.probabilities.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5);
                let rejected = seen.probabilities[3] >= seen.probabilities[class];
                assert_eq!(rejected, seen.none, "{seen:?}");
            }
        }
    }
}

#[test]
fn what_is_none_of_them_is_told_so() {
    let mut list = each(2, 4);
    list.extend((100..112).map(|seed| (None, seed)));
    let head = Taught::train(&shown(&list), 4).unwrap().unwrap();
    assert_eq!(head.gate().unwrap().calibration(), Calibration::Negatives);
    let passing = (300..400).filter(|seed| !head.recognise(&around(3, *seed)).none);
    assert!(passing.count() <= 10);
    let known = (300..400).filter(|seed| !head.recognise(&around(1, *seed)).none);
    assert!(known.count() >= 90);
}

#[test]
fn the_layer_that_knows_more_is_chosen_when_that_is_sure() {
    // Too few to be sure.
    let head = Taught::train(&shown(&each(2, 2)), 1).unwrap().unwrap();
    assert_eq!(head.layer().number, 1);
    let head = Taught::train(&shown(&each(3, 6)), 1).unwrap().unwrap();
    assert_eq!(head.layer().number, 4);
    let head = Taught::train(&shown(&each(3, 6)), 4).unwrap().unwrap();
    assert_eq!(head.layer().number, 4);
}

#[test]
fn a_wrong_label_is_a_suspect() {
    let mut list = each(2, 4);
    list.push((Some(0), 900));
    let mut examples = shown(&list);
    // It was shown as class 0, and is a 1.
    let last = examples.list.last_mut().unwrap();
    last.features[WIDTH..].copy_from_slice(&around(1, 901));
    let head = Taught::train(&examples, 4).unwrap().unwrap();
    let suspects = &head.assessment().suspects;
    assert_eq!(suspects.len(), 1, "{suspects:?}");
    assert_eq!(
        (suspects[0].example, suspects[0].resembles.as_str()),
        (8, "class 1")
    );
    assert!(head.assessment().accuracy.unwrap() < 1.0);
}

#[test]
fn a_showing_is_left_out_whole() {
    let layers = vec![Layer {
        number: 4,
        width: WIDTH,
    }];
    let mut examples = Examples::new(layers);
    for class in 0..2usize {
        for burst in 0..2 {
            let label = format!("class {class}");
            let showing = examples.begin(Some(&label)).unwrap();
            for frame in 0..5 {
                let features = around(class, burst * 50 + frame);
                examples.add(showing, Some(&label), &[&features]).unwrap();
            }
        }
    }
    let head = Taught::train(&examples, 4).unwrap().unwrap();
    assert_eq!(head.assessment().of, 4, "four showings of five frames each");
    examples.undo();
    let head = Taught::train(&examples, 4).unwrap().unwrap();
    assert_eq!(head.assessment().counted, Counted::Examples);
}
