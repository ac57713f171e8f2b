//! Settings out of their range.

use super::{Options, ProblemType, Settings};

#[test]
fn without_arguments_the_sample_is_played_into_a_directory() {
    let settings = Settings::new(Options::default(), None).unwrap();
    assert_eq!(
        (settings.source.as_str(), settings.sinks),
        ("sample", vec!["out".to_owned()])
    );
}

#[test]
fn with_a_source_nothing_is_written_unasked() {
    let options = Options {
        source: Some("photos".into()),
        ..Options::default()
    };
    assert!(Settings::new(options, None).unwrap().sinks.is_empty());
    let options = Options {
        sink: Some(vec!["none".into()]),
        ..Options::default()
    };
    assert!(Settings::new(options, None).unwrap().sinks.is_empty());
}

#[test]
fn live_sources_are_smoothed_unless_told_otherwise() {
    let settings = Settings::new(Options::default(), None).unwrap();
    assert_eq!(
        (settings.filter(true).window, settings.filter(false).window),
        (5, 1)
    );
    let settings = Settings::new(
        Options {
            smooth: Some(9),
            ..Options::default()
        },
        None,
    )
    .unwrap();
    assert_eq!(settings.filter(false).window, 9);
}

#[test]
fn probabilities_mean_nothing_to_a_regression() {
    for (options, culprit) in [
        (
            Options {
                threshold: Some(0.5),
                ..Options::default()
            },
            "--threshold",
        ),
        (
            Options {
                hysteresis: Some(0.0),
                ..Options::default()
            },
            "--hysteresis",
        ),
    ] {
        let settings = Settings::new(options, None).unwrap();
        for problem in [ProblemType::SingleLabel, ProblemType::MultiLabel] {
            settings.check_for(problem, "m").unwrap();
        }
        let error = settings
            .check_for(ProblemType::Regression, "m")
            .unwrap_err();
        assert!(error.to_string().starts_with(culprit), "{error}");
    }
    let settings = Settings::new(Options::default(), None).unwrap();
    settings.check_for(ProblemType::Regression, "m").unwrap();
}

#[test]
fn bad_values_are_refused_by_name() {
    let cases = [
        (
            Options {
                smooth: Some(33),
                ..Options::default()
            },
            "--smooth",
        ),
        (
            Options {
                smooth: Some(0),
                ..Options::default()
            },
            "--smooth",
        ),
        (
            Options {
                threshold: Some(1.5),
                ..Options::default()
            },
            "threshold",
        ),
        (
            Options {
                frames: Some(0),
                ..Options::default()
            },
            "--frames",
        ),
        (
            Options {
                hysteresis: Some(f32::NAN),
                ..Options::default()
            },
            "--hysteresis NaN",
        ),
        (
            Options {
                model: Some("".into()),
                ..Options::default()
            },
            "--model",
        ),
        (
            Options {
                threads: Some(99_999),
                ..Options::default()
            },
            "--threads 99999",
        ),
        (
            Options {
                top_k: Some(0),
                ..Options::default()
            },
            "--top-k",
        ),
        (
            Options {
                canvas: Some("big".into()),
                ..Options::default()
            },
            "--canvas",
        ),
        (
            Options {
                log: Some("syslog".into()),
                ..Options::default()
            },
            "--log",
        ),
        (
            Options {
                drop: Some(true),
                no_drop: Some(true),
                ..Options::default()
            },
            "--no-drop",
        ),
    ];
    for (options, culprit) in cases {
        let message = Settings::new(options, None).expect_err(culprit).to_string();
        assert!(message.contains(culprit), "{message}");
    }
}

#[test]
fn live_sources_that_are_not_recorded_are_stabilised_unless_told_otherwise() {
    let margin = |text: Option<&str>, record: Option<&str>, live| {
        let options = Options {
            stabilize: text.map(Into::into),
            record: record.map(Into::into),
            ..Options::default()
        };
        let settings = Settings::new(options, None).unwrap();
        settings.stabilizer(live).map(|options| options.margin)
    };
    assert_eq!(margin(None, None, true), Some(0.04));
    assert_eq!(margin(None, None, false), None);
    assert_eq!(margin(None, Some("run"), true), None);
    assert_eq!(margin(Some("0.1"), Some("run"), false), Some(0.1));
    assert_eq!(margin(Some("off"), None, true), None);
}

#[test]
fn a_margin_that_is_none_is_refused() {
    for text in ["0", "-0.1", "1.5", "nan", "on", ""] {
        let options = Options {
            stabilize: Some(text.into()),
            ..Options::default()
        };
        let error = Settings::new(options, None).unwrap_err().to_string();
        assert!(
            error.contains("stabilize") && error.contains("off"),
            "{error}"
        );
    }
}
