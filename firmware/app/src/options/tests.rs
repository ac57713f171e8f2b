//! The command line as it is read and refused.

use super::{parse_size, parse_time};
use crate::command_line::CommandLine;
use clap::{CommandFactory, Parser};
use std::time::Duration;

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
    // Clap breaks what is longer anywhere, on a terminal of 80 columns.
    let help = CommandLine::command()
        .get_after_long_help()
        .unwrap()
        .to_string();
    for line in help.lines() {
        assert!(line.len() <= 78, "{line}");
    }
}

#[test]
fn flags_win_over_the_configuration_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cam.toml");
    std::fs::write(
        &path,
        "source = \"/dev/video3\"\ntop-k = 7\nsink = [\"none\"]\njson = true\n",
    )
    .unwrap();
    let line = [
        "igpt-cam",
        "--config",
        path.to_str().unwrap(),
        "--top-k",
        "2",
    ];
    let (options, _) = CommandLine::parse_from(line).resolve().unwrap();
    assert_eq!(options.top_k, Some(2));
    assert_eq!(options.source.as_deref(), Some("/dev/video3"));
    assert_eq!(options.sink, Some(vec!["none".to_owned()]));
    assert_eq!((options.json, options.frames), (Some(true), None));
}

#[test]
fn a_wrong_configuration_names_the_file_and_the_key() {
    let dir = tempfile::tempdir().unwrap();
    for (text, culprit) in [
        ("tresh = 1", "tresh"),
        ("top-k = \"x\"", "top-k"),
        ("source = [", "source"),
    ] {
        let path = dir.path().join("wrong.toml");
        std::fs::write(&path, text).unwrap();
        let line = CommandLine {
            config: Some(path),
            ..CommandLine::default()
        };
        let failure = line.resolve().expect_err(text);
        let message = failure.to_string();
        assert!(
            message.contains("wrong.toml") && message.contains(culprit),
            "{message}"
        );
        assert_eq!(failure.code(), 2);
    }
    let missing = CommandLine {
        config: Some(dir.path().join("none.toml")),
        ..CommandLine::default()
    };
    assert!(
        missing
            .resolve()
            .expect_err("missing")
            .to_string()
            .contains("none.toml")
    );
}

#[test]
fn of_two_names_of_one_thing_the_command_line_has_the_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cam.toml");
    std::fs::write(&path, "no-drop = true\n").unwrap();
    let path = path.to_str().unwrap();
    let line = ["igpt-cam", "m.onnx", "--config", path, "--drop"];
    let (options, _) = CommandLine::parse_from(line).resolve().unwrap();
    assert_eq!((options.drop, options.no_drop), (Some(true), None));
    assert_eq!(options.model.as_deref(), Some("m.onnx".as_ref()));
}

#[test]
fn sizes_and_times_are_read_or_refused_by_name() {
    assert_eq!(parse_size("canvas", "640x480").unwrap(), (640, 480));
    for bad in ["", "640", "x", "0x1", "9000x1", "-1x5", "640x480x3"] {
        let message = parse_size("canvas", bad).expect_err(bad).to_string();
        assert!(
            message.contains("--canvas") && message.contains(bad),
            "{message}"
        );
    }
    assert_eq!(
        parse_time("interval", "250ms").unwrap(),
        Duration::from_millis(250)
    );
    assert_eq!(
        parse_time("interval", "1.5s").unwrap(),
        Duration::from_millis(1500)
    );
    assert_eq!(parse_time("interval", "2").unwrap(), Duration::from_secs(2));
    assert_eq!(
        parse_time("interval", "1m").unwrap(),
        Duration::from_secs(60)
    );
    for bad in ["", "ms", "-1s", "NaN", "inf", "1e300s", "2 days"] {
        assert!(parse_time("interval", bad).is_err(), "{bad}");
    }
}
