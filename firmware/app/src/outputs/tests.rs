//! Outputs that would overwrite an input, and those that only look so.

use super::check;
use crate::options::Options;
use crate::settings::Settings;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

struct Place(tempfile::TempDir);

impl Place {
    /// photos/cat/a.png, photos/linked -> elsewhere/b.png, film.y4m, m.onnx.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for folder in ["photos/cat", "elsewhere", "out"] {
            fs::create_dir_all(place.at(folder)).unwrap();
        }
        for file in ["photos/cat/a.png", "elsewhere/b.png", "film.y4m", "m.onnx"] {
            fs::write(place.at(file), "x").unwrap();
        }
        symlink(place.at("elsewhere"), place.at("photos/linked")).unwrap();
        symlink(place.at("photos"), place.at("alias")).unwrap();
        symlink(place.at("photos/new"), place.at("dangling")).unwrap();
        place
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn refusal(&self, change: impl FnOnce(&mut Options)) -> Option<String> {
        let mut options = Options {
            source: Some(self.at("photos")),
            sink: Some(vec!["none".into()]),
            ..Options::default()
        };
        change(&mut options);
        let settings = Settings::new(options, None).unwrap();
        check(&settings).err().map(|error| error.to_string())
    }
}

#[test]
fn nothing_is_written_among_the_pictures_that_are_read() {
    let place = Place::new();
    let sinks = [
        "photos",
        "photos/",
        "alias",
        "photos/cat",
        "photos/new",
        "photos/new/deep",
        "elsewhere",
        "elsewhere/x",
        "photos/linked/x",
        "alias/cat/x",
        "gone/../photos",
        "dangling",
        "out/../photos/cat",
    ];
    for sink in sinks {
        let message = place.refusal(|o| o.sink = Some(vec![place.at(sink)]));
        let message = message.unwrap_or_else(|| panic!("{sink} is not refused"));
        assert!(
            message.contains(&format!("--sink {}", place.at(sink))),
            "{message}"
        );
    }
    for record in ["photos/cat", "elsewhere/run"] {
        let message = place.refusal(|o| o.record = Some(place.at(record).into()));
        assert!(message.expect(record).contains("--record"));
    }
    let log = place.refusal(|o| o.log = Some(format!("defmt:{}", place.at("photos/log"))));
    assert!(log.expect("log").contains("--log defmt:"));
    let state = place.refusal(|o| o.state_dir = Some(place.at("photos/state").into()));
    assert!(state.expect("state").contains("--state-dir"));
}

#[test]
fn what_lies_elsewhere_is_fine() {
    let place = Place::new();
    assert_eq!(
        place.refusal(|o| o.sink = Some(vec![place.at("out")])),
        None
    );
    assert_eq!(
        place.refusal(|o| o.sink = Some(vec![place.at("photos2/x")])),
        None
    );
    assert_eq!(
        place.refusal(|o| o.sink = Some(vec!["/dev/null".into(), "/dev/null".into()])),
        None
    );
    assert_eq!(place.refusal(|o| o.source = Some("sample".into())), None);
    // The picture is read, what lies beside it is not.
    let single = place.refusal(|o| {
        o.source = Some(place.at("photos/cat/a.png"));
        o.sink = Some(vec![place.at("photos/cat")]);
    });
    assert_eq!(single, None);
}

#[test]
fn no_log_is_written_over_an_input() {
    let place = Place::new();
    fs::hard_link(place.at("film.y4m"), place.at("same.y4m")).unwrap();
    for (log, input) in [
        ("film.y4m", "--source"),
        ("same.y4m", "--source"),
        ("m.onnx", "--model"),
        ("gone/../film.y4m", "--source"),
        ("photos/gone/../../m.onnx", "--model"),
    ] {
        let message = place.refusal(|o| {
            o.source = Some(place.at("film.y4m"));
            o.model = Some(place.at("m.onnx").into());
            o.log = Some(format!("defmt:{}", place.at(log)));
        });
        assert!(message.expect(log).contains(input));
    }
    assert!(Path::new(&place.at("film.y4m")).exists());
}

#[test]
fn outputs_keep_apart() {
    let place = Place::new();
    let run = || Some(place.at("run").into());
    for sink in ["run", "run/overlay"] {
        let message = place.refusal(|o| {
            o.record = run();
            o.sink = Some(vec![place.at(sink)]);
        });
        assert!(message.expect(sink).contains("--record"), "{sink}");
    }
    let twice = place.refusal(|o| o.sink = Some(vec![place.at("out"), place.at("alias/../out")]));
    assert!(twice.expect("twice").contains("is also"));
    let over = place.refusal(|o| {
        o.source = Some(place.at("elsewhere/b.png"));
        o.record = Some(place.at("elsewhere").into());
    });
    assert!(over.expect("record").contains("holds"));
    let over = place.refusal(|o| {
        o.source = Some(place.at("elsewhere/b.png"));
        o.record = Some(place.at("gone/../elsewhere").into());
    });
    assert!(over.expect("record").contains("holds"));
}
