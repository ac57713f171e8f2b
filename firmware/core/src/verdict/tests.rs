//! The filter on streams that a person can follow.

use super::{FilterError, FilterSettings, ProblemType, Score, VerdictFilter};

type Filter = VerdictFilter<4, 8>;

fn filter(window: usize, hysteresis: f32, threshold: f32) -> Filter {
    filter_of(ProblemType::SingleLabel, window, hysteresis, threshold)
}

fn filter_of(problem: ProblemType, window: usize, hysteresis: f32, threshold: f32) -> Filter {
    Filter::new(
        3,
        problem,
        FilterSettings {
            window,
            hysteresis,
            threshold,
        },
    )
    .unwrap()
}

#[test]
fn without_smoothing_each_frame_speaks_for_itself() {
    let mut filter = filter(1, 0.0, 0.5);
    let first = filter.push(&[0.7, 0.2, 0.1]).unwrap();
    assert_eq!(
        (first.class, first.score, first.sure),
        (0, Score::Probability(0.7), true)
    );
    let second = filter.push(&[0.1, 0.45, 0.45]).unwrap();
    assert_eq!(
        (second.class, second.sure),
        (1, false),
        "a tie goes to the lowest index; unsure"
    );
}

#[test]
fn one_odd_frame_does_not_change_the_verdict() {
    let mut filter = filter(4, 0.0, 0.5);
    for _ in 0..4 {
        filter.push(&[0.9, 0.1, 0.0]).unwrap();
    }
    let odd = filter.push(&[0.0, 1.0, 0.0]).unwrap();
    assert_eq!(odd.class, 0);
    assert!((odd.score.number() - 0.675).abs() < 1e-6);
}

#[test]
fn the_average_forgets_exactly_after_the_window() {
    let mut filter = filter(3, 0.0, 0.5);
    filter.push(&[1.0, 0.0, 0.0]).unwrap();
    for _ in 0..3 {
        filter.push(&[0.0, 0.0, 1.0]).unwrap();
    }
    assert_eq!(filter.average(), [0.0, 0.0, 1.0]);
}

#[test]
fn a_challenger_needs_a_lead_of_more_than_the_hysteresis() {
    let mut filter = filter(1, 0.2, 0.0);
    filter.push(&[0.5, 0.5, 0.0]).unwrap();
    assert_eq!(
        filter.push(&[0.41, 0.59, 0.0]).unwrap().class,
        0,
        "a lead of 0.18 is not enough"
    );
    assert_eq!(
        filter.push(&[0.35, 0.65, 0.0]).unwrap().class,
        1,
        "a lead of 0.30 is"
    );
    assert_eq!(
        filter.push(&[0.59, 0.41, 0.0]).unwrap().class,
        1,
        "and the way back needs one too"
    );
}

#[test]
fn a_sure_verdict_becomes_unsure_below_the_threshold_less_the_hysteresis() {
    let mut filter = filter(1, 0.1, 0.6);
    assert!(
        !filter.push(&[0.55, 0.45, 0.0]).unwrap().sure,
        "not yet sure"
    );
    assert!(filter.push(&[0.65, 0.35, 0.0]).unwrap().sure);
    assert!(filter.push(&[0.55, 0.45, 0.0]).unwrap().sure, "still sure");
    assert!(!filter.push(&[0.49, 0.45, 0.06]).unwrap().sure);
    assert!(
        !filter.push(&[0.55, 0.45, 0.0]).unwrap().sure,
        "and unsure until it passes 0.6 again"
    );
}

#[test]
fn reset_forgets_the_past() {
    let mut filter = filter(8, 0.5, 0.5);
    for _ in 0..8 {
        filter.push(&[1.0, 0.0, 0.0]).unwrap();
    }
    filter.reset();
    assert!(filter.average().is_empty());
    assert_eq!(filter.push(&[0.0, 0.0, 1.0]).unwrap().class, 2);
}

#[test]
fn bad_probabilities_are_refused_and_leave_the_filter_as_it_was() {
    let mut filter = filter(2, 0.0, 0.5);
    filter.push(&[0.0, 1.0, 0.0]).unwrap();
    assert_eq!(
        filter.push(&[0.5, 0.5]),
        Err(FilterError::Count {
            found: 2,
            expected: 3
        })
    );
    for bad in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
        let refused = filter.push(&[0.5, bad, 0.5]);
        assert!(
            matches!(refused, Err(FilterError::Probability { class: 1, .. })),
            "{bad}"
        );
    }
    assert_eq!(filter.average(), [0.0, 1.0, 0.0]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let make = |classes, window, hysteresis, threshold| {
        Filter::new(
            classes,
            ProblemType::SingleLabel,
            FilterSettings {
                window,
                hysteresis,
                threshold,
            },
        )
        .map(|_| ())
    };
    assert_eq!(
        make(3, 0, 0.0, 0.5),
        Err(FilterError::Window { found: 0, most: 8 })
    );
    assert_eq!(
        make(3, 9, 0.0, 0.5),
        Err(FilterError::Window { found: 9, most: 8 })
    );
    assert!(matches!(
        make(3, 1, -0.1, 0.5),
        Err(FilterError::Setting {
            name: "hysteresis",
            ..
        })
    ));
    assert!(matches!(
        make(3, 1, 0.0, f32::NAN),
        Err(FilterError::Setting {
            name: "threshold",
            ..
        })
    ));
    assert_eq!(
        make(0, 1, 0.0, 0.5),
        Err(FilterError::Classes { found: 0, most: 4 })
    );
    assert_eq!(
        make(5, 1, 0.0, 0.5),
        Err(FilterError::Classes { found: 5, most: 4 })
    );
    assert_eq!(make(4, 8, 1.0, 1.0), Ok(()));
}

/// Which of the three classes are there.
fn present(filter: &Filter) -> [bool; 3] {
    [0, 1, 2].map(|class| filter.is_present(class))
}

#[test]
fn of_a_multi_label_model_every_class_is_judged_for_itself() {
    let mut filter = filter_of(ProblemType::MultiLabel, 1, 0.1, 0.5);
    let verdict = filter.push(&[0.6, 0.9, 0.45]).unwrap();
    assert_eq!(
        (verdict.class, verdict.score, verdict.sure),
        (1, Score::Probability(0.9), true)
    );
    assert_eq!(
        present(&filter),
        [true, true, false],
        "they need not add up to one"
    );
    // The first stays within the hysteresis, the third does not come: it needs the threshold.
    let verdict = filter.push(&[0.42, 0.3, 0.49]).unwrap();
    assert_eq!(present(&filter), [true, false, false]);
    assert_eq!(
        (verdict.class, verdict.sure),
        (0, true),
        "the most probable of those that are there"
    );
    let verdict = filter.push(&[0.39, 0.3, 0.49]).unwrap();
    assert_eq!(present(&filter), [false; 3]);
    assert_eq!((verdict.class, verdict.sure), (2, false), "none is there");
    filter.reset();
    assert_eq!(present(&filter), [false; 3]);
}

#[test]
fn a_regression_is_averaged_and_nothing_else() {
    let mut filter = filter_of(ProblemType::Regression, 2, 0.9, 1.0);
    let verdict = filter.push(&[-3.0, -250.0, -7.5]).unwrap();
    assert_eq!(
        (verdict.class, verdict.score, verdict.sure),
        (0, Score::Value(-3.0), true)
    );
    let verdict = filter.push(&[-3.0, -250.0, 8.5]).unwrap();
    assert_eq!(filter.average(), [-3.0, -250.0, 0.5]);
    assert_eq!(
        (verdict.class, verdict.score),
        (2, Score::Value(0.5)),
        "no hysteresis"
    );
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        let refused = filter.push(&[0.0, bad, 0.0]);
        assert!(
            matches!(refused, Err(FilterError::Value { class: 1, .. })),
            "{bad}"
        );
    }
    assert_eq!(filter.average(), [-3.0, -250.0, 0.5], "as it was");
}

#[test]
fn the_verdict_of_one_class_is_the_one_that_is_there() {
    let mut filter = filter(1, 0.0, 0.5);
    filter.push(&[0.2, 0.7, 0.1]).unwrap();
    assert_eq!(present(&filter), [false, true, false]);
    filter.push(&[0.3, 0.4, 0.3]).unwrap();
    assert_eq!(present(&filter), [false; 3], "unsure");
}
