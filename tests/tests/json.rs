//! What both programs print as JSON is what docs/json.md says: every verb with `--json`, and `igpt-cam`.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "json/page.rs"]
mod page;
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use igpt_runtime::{LoadOptions, SegformerForImageClassification, image_io};
use page::Page;
use programs::{native, root};
use serde_json::Value;

/// The programs, a folder to work in, and the page.
struct Bench {
    igpt: PathBuf,
    cam: PathBuf,
    dir: tempfile::TempDir,
    page: Page,
}

impl Bench {
    fn new() -> Self {
        let page = fs::read_to_string(root().join("docs/json.md")).expect("docs/json.md");
        let bench = Self {
            igpt: native("--bin", "igpt"),
            cam: native("--bin", "igpt-cam"),
            dir: tempfile::tempdir().expect("a folder"),
            page: Page::read(&page),
        };
        bench.data();
        bench
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// photos/CLASS/*.png with one that is broken, and a model of each kind.
    fn data(&self) {
        let sample = root().join("models/fashion-mnist/sample");
        for entry in fs::read_dir(sample).expect("the sample") {
            let path = entry.expect("an entry").path();
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            if path.extension().is_none_or(|extension| extension != "png") {
                continue;
            }
            let class = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            let class = class.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            let folder = self.dir.path().join("photos").join(class);
            fs::create_dir_all(&folder).expect("a folder");
            for copy in ["a", "b"] {
                fs::copy(&path, folder.join(format!("{copy}-{stem}.png"))).expect("a copy");
            }
        }
        fs::write(self.dir.path().join("photos/coat/broken.png"), "no picture").expect("a file");
    }

    /// What a verb prints.
    fn verb(&self, arguments: &[&str]) -> Value {
        self.verb_with(arguments, 0)
    }

    fn verb_with(&self, arguments: &[&str], code: i32) -> Value {
        let output = Command::new(&self.igpt)
            .args(arguments)
            .arg("--json")
            .current_dir(self.dir.path())
            .output()
            .expect("igpt");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        let json = serde_json::from_slice(&output.stdout);
        json.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// The events of a run, and how it ended.
    fn cam(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = Command::new(&self.cam)
            .args(arguments)
            .args(["--json", "--log", "none"])
            .current_dir(self.dir.path())
            .env_remove("STATE_DIRECTORY")
            .stdin(Stdio::null())
            .output()
            .expect("igpt-cam");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        lines(&String::from_utf8_lossy(&output.stdout))
    }
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    text.lines().map(parse).collect()
}

fn checkpoint(name: &str) -> String {
    root()
        .join("models/fashion-mnist")
        .join(name)
        .display()
        .to_string()
}

/// Of another family.
fn mix_transformer() -> String {
    let path = root().join("tests/golden/segformer/hub-names");
    path.display().to_string()
}

/// The classifier's checkpoint, with another configuration.
fn variant(bench: &Bench, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let (from, to) = (
        PathBuf::from(checkpoint("clf")),
        bench.dir.path().join(name),
    );
    fs::create_dir(&to).expect("a folder");
    for file in ["model.safetensors", "preprocessor_config.json"] {
        fs::copy(from.join(file), to.join(file)).expect("a copy");
    }
    let text = fs::read_to_string(from.join("config.json")).expect("config.json");
    let mut config = serde_json::from_str(&text).expect("JSON");
    change(&mut config);
    fs::write(to.join("config.json"), config.to_string()).expect("a file");
    to.display().to_string()
}

#[test]
fn the_camera_app_prints_what_the_page_says() {
    let bench = Bench::new();
    let mut all = bench.cam(&["--source", "photos", "--record", "run"], 0);
    all.extend(bench.cam(&["--sink", "out", "--smooth", "3"], 0));
    all.extend(bench.cam(&["--source", "photos", "--strict"], 3));
    let events = ["--events", "-", "--event-frames", "1/1"];
    all.extend(bench.cam(&[&["--source", "photos"], &events[..]].concat(), 0));
    all.extend(bench.cam(&["--source", "/dev/video987", "--retries", "0"], 3));
    all.extend(bench.cam(&["--source", "pattern:64x48", "--frames", "2"], 0));
    for (name, problem) in [
        ("values", "regression"),
        ("several", "multi_label_classification"),
    ] {
        let folder = variant(&bench, name, |config| {
            config["problem_type"] = problem.into()
        });
        let file = format!("{name}.onnx");
        bench.verb(&["quantize", &folder, "-o", &file]);
        all.extend(bench.cam(
            &["--model", &file, "--source", "photos", "--frames", "2"],
            0,
        ));
    }
    igpt_tests::noisy::write(&bench.dir.path().join("noisy"), 20);
    let noisy = [
        "--data",
        "noisy",
        "--held-out",
        "0.7",
        "--exits",
        "2,4",
        "-o",
    ];
    bench.verb(&[&["probe", &checkpoint("clf")], &noisy[..], &["early.onnx"]].concat());
    let early = [
        "--model",
        "early.onnx",
        "--exit",
        "0.9",
        "--source",
        "noisy",
    ];
    all.extend(bench.cam(&early, 0));
    // The other family: the same words, and of its picture's own pixels.
    let segformer = root().join("tests/golden/segformer/hub-names");
    let segformer = segformer.display().to_string();
    bench.verb(&["quantize", &segformer, "-o", "mit.onnx"]);
    let mit = bench.cam(
        &[
            "--model", "mit.onnx", "--source", "photos", "--record", "mit",
        ],
        0,
    );
    assert_eq!(mit[0]["model"]["model_type"], "segformer");
    assert_eq!(
        mit[0]["model"]["hidden_sizes"].as_array().map(Vec::len),
        Some(4)
    );
    all.extend(mit);
    for (what, folder) in [
        ("coat", "photos/coat"),
        ("bag", "photos/bag"),
        ("--none", "photos/dress"),
    ] {
        // A broken picture among them is passed over.
        bench.cam(&["teach", what, "--source", folder, "--taught", "t"], 0);
    }
    all.extend(bench.cam(&["--source", "photos", "--taught", "t"], 0));
    for event in ["start", "verdict", "skipped", "taught", "change", "end"] {
        let of_kind: Vec<Value> = all
            .iter()
            .filter(|e| e["event"] == event)
            .cloned()
            .collect();
        bench.page.hold(&format!("igpt-cam: {event}"), &of_kind);
    }
    let known = |e: &Value| {
        ["start", "verdict", "skipped", "taught", "change", "end"]
            .contains(&e["event"].as_str().unwrap_or(""))
    };
    assert!(all.iter().all(known), "an event of another name");
    // The clocks: the first is a moment, the second never goes back within a run.
    let mut before = 0.0;
    for event in &all {
        let time = event["time"].as_str().expect("a time");
        assert!(
            time.starts_with("20") && time.ends_with('Z') && time.len() == 24,
            "{time}"
        );
        let elapsed = event["elapsed"].as_f64().expect("a number");
        assert!(event["event"] == "start" || elapsed >= before, "{event}");
        before = elapsed;
    }

    let recorded = |name: &str| {
        fs::read_to_string(Path::new(&bench.at(name)).join("verdicts.jsonl")).expect("a recording")
    };
    let mut kept = lines(&recorded("run"));
    bench.cam(
        &[
            "--model",
            "values.onnx",
            "--source",
            "run",
            "--record",
            "values",
            "--frames",
            "3",
        ],
        0,
    );
    kept.extend(lines(&recorded("values")));
    kept.extend(lines(&recorded("mit")));
    bench.page.hold("verdicts.jsonl", &kept);
    // What the app saw and found is what the library does.
    let options = LoadOptions::new().with_threads(1);
    let model = SegformerForImageClassification::load(bench.at("mit.onnx"), &options).unwrap();
    for line in lines(&recorded("mit")) {
        let file = Path::new(&bench.at("mit")).join(line["file"].as_str().unwrap());
        let image = image_io::decode_file(file).unwrap();
        let (rgb, width, height) = (image.rgb(), image.width(), image.height());
        let seen = model.processor().resized(rgb, width, height).unwrap();
        let crc32 = format!("{:08x}", crc32fast::hash(seen.rgb()));
        assert_eq!(line["tokens_crc32"], crc32.as_str());
        let found = model.session().unwrap().classify_image(&image).unwrap();
        let bits = found.logits.iter().map(|x| format!("{:08x}", x.to_bits()));
        assert_eq!(line["logits"], Value::from_iter(bits));
    }

    // And the verb that compares recordings, of equal ones and of others.
    bench.cam(
        &[
            "--source",
            "run",
            "--record",
            "again",
            "--threads",
            "1",
            "--isa",
            "scalar",
        ],
        0,
    );
    let equal = bench.verb(&["verify", "run", "again"]);
    assert_eq!(
        (&equal["equal"], &equal["different_frames"]),
        (&true.into(), &0.into())
    );
    let other = bench.verb_with(&["verify", "run", "values"], 4);
    assert_eq!(other["first_difference"]["what"], "model.crc32");
    bench.page.hold("igpt verify", &[equal, other]);
}

/// Of a classifier and of a regression.
fn classified(bench: &Bench) -> [Value; 2] {
    let folder = variant(bench, "values", |config| {
        config["problem_type"] = "regression".into();
    });
    bench.verb(&["quantize", &folder, "-o", "values.onnx"]);
    ["clf.onnx", "values.onnx"].map(|file| bench.verb(&["classify", file, "photos/coat"]))
}

#[test]
fn every_verb_prints_what_the_page_says() {
    let bench = Bench::new();
    let (clf, lm) = (checkpoint("clf"), checkpoint("lm"));
    let hold = |section: &str, outputs: &[Value]| bench.page.hold(section, outputs);

    let quantized = [
        bench.verb(&["quantize", &clf, "-o", "clf.onnx"]),
        bench.verb(&["quantize", &lm, "-o", "lm.onnx", "--pack", "avx2"]),
        bench.verb(&["quantize", &clf, "-o", "f32.onnx", "--dtype", "f32"]),
        bench.verb(&[
            "quantize",
            &clf,
            "-o",
            "c.onnx",
            "--calibrate",
            "photos/coat",
        ]),
        bench.verb(&["quantize", &mix_transformer(), "-o", "mix.onnx"]),
    ];
    hold("igpt quantize", &quantized);
    let inspected = ["clf.onnx", "lm.onnx", "mix.onnx"].map(|file| bench.verb(&["inspect", file]));
    hold("igpt classify", &classified(&bench));
    let picture = "photos/bag/a-0018-bag.png";
    let ran =
        ["clf.onnx", "mix.onnx"].map(|file| bench.verb(&["run", file, picture, "-o", "out.npz"]));
    hold("igpt run", &ran);
    let complete = ["complete", "--model", "lm.onnx"];
    let painted = [
        bench.verb(
            &[
                &complete[..],
                &["photos/coat", "--rows", "13", "-o", "g.png"],
            ]
            .concat(),
        ),
        bench.verb(&[&complete[..], &["-n", "1", "-o", "nothing.png"]].concat()),
    ];
    hold("igpt complete", &painted);
    let palette = ["palette", "photos", "--colors", "4", "--size", "8"];
    hold(
        "igpt palette",
        &[bench.verb(&[&palette[..], &["-o", "p.json"]].concat())],
    );
    // Two classifiers that differ in some verdicts, of the first layer and of the best.
    let probe = ["probe", "clf.onnx", "--data", "photos"];
    let first = ["--layer", "1", "--held-out", "0.9", "-o", "first.onnx"];
    let probed = [
        bench.verb(&[&probe[..], &first].concat()),
        bench.verb(&[&probe[..], &["-o", "best.onnx"]].concat()),
        bench.verb(&["probe", "mix.onnx", "--data", "photos"]),
    ];
    hold("igpt probe", &probed);
    igpt_tests::noisy::write(&bench.dir.path().join("noisy"), 20);
    let noisy = [
        "--data",
        "noisy",
        "--held-out",
        "0.7",
        "--exits",
        "2,4",
        "-o",
    ];
    fs::write(bench.dir.path().join("noisy/bag/broken.png"), "no picture").expect("a file");
    let early = [
        bench.verb(&[&["probe", "clf.onnx"], &noisy[..], &["early.onnx"]].concat()),
        bench.verb(&[&["probe", &lm], &noisy[..], &["earlier.onnx"]].concat()),
    ];
    hold("igpt probe --exits", &early);
    let early = bench.verb(&["inspect", "early.onnx"]);
    hold("igpt inspect", &[&inspected[..], &[early]].concat());
    let eval = ["--data", "photos", "--against"];
    let evaluated = [
        bench.verb(
            &[
                &["eval", "clf.onnx"],
                &eval[..],
                &["f32.onnx", "--plots", "plots"],
            ]
            .concat(),
        ),
        bench.verb(&[&["eval", "first.onnx"], &eval[..], &["best.onnx"]].concat()),
        bench.verb(&["eval", "lm.onnx", "--data", "photos", "--limit", "2"]),
    ];
    let exits = [
        "eval",
        "early.onnx",
        "--data",
        "photos",
        "--exits",
        "--plots",
        "exits",
    ];
    hold(
        "igpt eval",
        &[&evaluated[..], &[bench.verb(&exits)]].concat(),
    );
    let generation = ["bench", "lm.onnx", "--context", "4", "--new-tokens", "2"];
    let quick = ["--runs", "1", "--threads", "1"];
    hold(
        "igpt bench",
        &[
            bench.verb(&[&generation[..], &quick].concat()),
            bench.verb(&[&["bench", "mix.onnx"], &quick[..]].concat()),
        ],
    );
    let stream = root().join("tests/golden/streams/ffmpeg.mjpeg");
    let stream = stream.display().to_string();
    let stabilised = bench.verb(&["bench", "clf.onnx", "--stream", &stream, "--threads", "1"]);
    assert_eq!(
        stabilised["runs"][0]["off"]["mean"]
            .as_f64()
            .map(|x| x > 0.0),
        Some(true)
    );
    hold("igpt bench --stream", &[stabilised]);
    hold("igpt bench --isa", &[bench.verb(&["bench", "--isa"])]);
}
