//! Outputs of every verb: checked before the work, made with their folders, and none lost to another's failure.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use igpt_tools::cli::Cli;
use tempfile::TempDir;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn shipped(name: &str) -> String {
    let path = root("models/fashion-mnist").join(name);
    path.to_str().unwrap().to_owned()
}

/// The tiny classifier's checkpoint: 3 x 3 tokens, 4 labels.
fn tiny() -> String {
    root("tests/golden/checkpoint/bin").display().to_string()
}

/// A folder with tiny.onnx, photos/0 and photos/1 of two pictures each, and a recording of one frame.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let samples = [
        "0000-ankle-boot",
        "0001-pullover",
        "0002-trouser",
        "0003-trouser",
    ];
    for (index, name) in samples.iter().enumerate() {
        let class = folder.path().join("photos").join((index % 2).to_string());
        fs::create_dir_all(&class).unwrap();
        let picture = shipped(&format!("sample/{name}.png"));
        fs::copy(picture, class.join(format!("{name}.png"))).unwrap();
    }
    let recording = folder.path().join("recording");
    fs::create_dir(&recording).unwrap();
    let picture = shipped("sample/0000-ankle-boot.png");
    fs::copy(picture, recording.join("0.png")).unwrap();
    let frame = r#"{"file": "0.png", "tokens_crc32": "00000000", "logits": ["3f800000"]}"#;
    fs::write(recording.join("verdicts.jsonl"), frame).unwrap();
    let made = igpt(folder.path(), &["quantize", &tiny(), "-o", "tiny.onnx"]);
    assert!(made.status.success(), "{}", error(&made));
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_igpt"));
    command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn igpt(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run of every verb that works.
fn of_every_verb(tiny: &str, lm: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let line = |text: &str| words(&text.replace("TINY", tiny).replace("LM", lm));
    let list = |path: &[&str]| path.iter().map(|line_| line(line_)).collect();
    list(&[
        "quantize TINY -o made.onnx",
        "classify tiny.onnx photos",
        "classify tiny.onnx photos --json",
        "run tiny.onnx photos/0/0000-ankle-boot.png -o made.npz",
        "eval tiny.onnx --data photos",
        "eval tiny.onnx --data photos --json",
        "bench tiny.onnx --runs 1 --threads 1",
        "bench tiny.onnx --step --threads 1",
        "bench --isa scalar",
        "complete LM --greedy --rows 13 photos/0/0000-ankle-boot.png -o made.png",
        "palette photos --colors 4 --size 4 -o made.json",
        "probe tiny.onnx --data photos",
        "inspect tiny.onnx",
        "verify recording recording",
        "completions bash",
        "man -o man",
        "--help",
        "--version",
        "eval --help",
    ])
}

#[test]
fn a_full_standard_output_is_told_of_by_every_verb() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this machine has no /dev/full");
        return;
    }
    let folder = workplace();
    let runs = of_every_verb(&tiny(), &shipped("lm"));
    for verb in Cli::command().get_subcommands() {
        let run = runs.iter().any(|run| run[0] == verb.get_name());
        assert!(run, "{}: not in the table", verb.get_name());
    }
    for run in runs {
        let arguments: Vec<&str> = run.iter().map(String::as_str).collect();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(folder.path(), &arguments)
            .stdout(full)
            .output()
            .unwrap();
        let message = error(&output);
        assert_eq!(output.status.code(), Some(1), "{run:?}: {message}");
        let told = message.contains("standard output: No space left on device");
        assert!(told, "{run:?}: {message}");
        // The last word is the reason, and no panic.
        assert!(
            message.lines().last().unwrap().starts_with("igpt: "),
            "{message}"
        );
    }
    // What was to be written besides is there.
    for made in [
        "made.onnx",
        "made.npz",
        "made.png",
        "made.json",
        "man/igpt-classify.1",
    ] {
        assert!(folder.path().join(made).exists(), "{made}");
    }
}

/// As `| head -1` does, once it has its line.
#[test]
fn a_reader_that_went_away_is_no_failure_of_any_verb() {
    let folder = workplace();
    for run in of_every_verb(&tiny(), &shipped("lm")) {
        let arguments: Vec<&str> = run.iter().map(String::as_str).collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(folder.path(), &arguments);
        let output = command.stdout(writer).output().unwrap();
        let message = error(&output);
        assert_eq!(output.status.code(), Some(0), "{run:?}: {message}");
        assert!(!message.contains("standard output"), "{run:?}: {message}");
    }
    for made in ["made.onnx", "made.npz", "made.png", "man/igpt-classify.1"] {
        assert!(folder.path().join(made).exists(), "{made}");
    }
}

#[test]
fn a_full_standard_error_changes_nothing() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this machine has no /dev/full");
        return;
    }
    let folder = workplace();
    fs::write(folder.path().join("photos/0/bad.png"), "no picture").unwrap();
    for (arguments, code) in [
        (&["classify", "tiny.onnx", "photos"][..], 0),
        (&["classify", "nowhere.onnx", "photos"], 3),
        (&["classify"], 2),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(folder.path(), arguments)
            .stderr(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

/// Every option that names an output, after what it belongs to; OUT is its value's place.
fn outputs(tiny: &str, lm: &str) -> Vec<(String, &'static str)> {
    let table = [
        ("quantize TINY -o OUT", ""),
        ("run tiny.onnx photos/0/0000-ankle-boot.png -o OUT", ""),
        ("eval tiny.onnx --data photos --predictions OUT", ""),
        (
            "eval tiny.onnx --data photos --plots OUT",
            "reliability.svg",
        ),
        (
            "complete LM --greedy --rows 13 photos/0/0000-ankle-boot.png -o OUT",
            "",
        ),
        ("palette photos --colors 4 --size 4 -o OUT", ""),
        (
            "palette photos --colors 4 --size 4 -o made.json --plots OUT",
            "palette.png",
        ),
        (
            "palette photos --colors 4 --size 4 -o made.json --png OUT",
            "",
        ),
        ("probe tiny.onnx --data photos -o OUT", ""),
        ("probe tiny.onnx --data photos --features OUT", ""),
        ("probe tiny.onnx --data photos --plots OUT", "accuracy.svg"),
        ("probe tiny.onnx --data photos --plot OUT", ""),
        ("inspect tiny.onnx --plots OUT", "palette.png"),
        ("inspect tiny.onnx --png OUT", ""),
        ("man -o OUT", "igpt.1"),
    ];
    let fill = |line: &str| line.replace("TINY", tiny).replace("LM", lm);
    table
        .into_iter()
        .map(|(line, inside)| (fill(line), inside))
        .collect()
}

#[test]
fn missing_folders_are_made_by_every_verb_and_a_wrong_place_costs_no_work() {
    let folder = workplace();
    fs::write(folder.path().join("file"), "").unwrap();
    for (index, (line, inside)) in outputs(&tiny(), &shipped("lm")).into_iter().enumerate() {
        let run = |out: &str| {
            let line = line.replace("OUT", out);
            igpt(folder.path(), &line.split(' ').collect::<Vec<_>>())
        };
        let new = format!("new/{index}/out");
        let output = run(&new);
        assert!(output.status.success(), "{line}: {}", error(&output));
        let mut made = folder.path().join(&new);
        if !inside.is_empty() {
            made.push(inside);
        }
        assert!(made.is_file(), "{line}: no {}", made.display());

        let output = run("file/out");
        assert_eq!(output.status.code(), Some(1), "{line}");
        let message = error(&output);
        assert!(
            message.contains("file: is a file, expected a folder"),
            "{line}: {message}"
        );
        assert!(output.stdout.is_empty(), "{line}: it worked first");
        if inside.is_empty() {
            let output = run("photos");
            let message = error(&output);
            assert!(message.contains("photos: is a folder"), "{line}: {message}");
        }
    }
    let names = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| name.to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
}

#[test]
fn what_was_found_is_printed_although_an_output_failed() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this machine has no /dev/full");
        return;
    }
    let folder = workplace();
    for (line, printed, made) in [
        (
            "eval tiny.onnx --data photos --predictions /dev/full --plots pictures",
            "top-1",
            "pictures/reliability.svg",
        ),
        (
            "probe tiny.onnx --data photos --features /dev/full --plots pictures -o probe.onnx",
            "layer",
            "probe.onnx",
        ),
        (
            "probe tiny.onnx --data photos -o /dev/full --plots other",
            "layer",
            "other/accuracy.svg",
        ),
        (
            "palette photos --colors 4 --size 4 -o /dev/full --plots pictures",
            "RMS",
            "pictures/palette.png",
        ),
        (
            "run tiny.onnx photos/0/0000-ankle-boot.png -o /dev/full",
            "tokens in",
            "photos",
        ),
        (
            "inspect tiny.onnx --png /dev/full",
            "palette: 8 colours",
            "photos",
        ),
    ] {
        let output = igpt(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let message = error(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {message}");
        assert!(
            message.contains("/dev/full: No space left"),
            "{line}: {message}"
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(printed), "{line}: {text}");
        assert!(folder.path().join(made).exists(), "{line}: no {made}");
    }
    // Two that fail are both told.
    let line = "eval tiny.onnx --data photos --predictions /dev/full";
    let full = File::options().write(true).open("/dev/full").unwrap();
    let arguments: Vec<&str> = line.split(' ').collect();
    let output = command(folder.path(), &arguments)
        .stdout(full)
        .output()
        .unwrap();
    let message = error(&output);
    assert!(
        message.contains("/dev/full: No") && message.contains("standard output: No"),
        "{message}"
    );
}

#[test]
fn pictures_are_what_their_names_say_and_never_among_the_inputs() {
    let folder = workplace();
    let lm = shipped("lm");
    let complete = |out: &str| {
        let image = "photos/0/0000-ankle-boot.png";
        igpt(
            folder.path(),
            &[
                "complete", &lm, image, "--greedy", "--rows", "13", "-o", out,
            ],
        )
    };
    let output = complete("grid.jpg");
    assert!(output.status.success(), "{}", error(&output));
    assert_eq!(
        fs::read(folder.path().join("grid.jpg")).unwrap()[..2],
        [0xff, 0xd8]
    );
    let output = complete("grid.svg");
    let message = error(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("grid.svg: .svg is no format"), "{message}");

    let arguments = [
        "complete",
        &lm,
        "photos",
        "--rows",
        "13",
        "-o",
        "photos/grid.png",
    ];
    let output = igpt(folder.path(), &arguments);
    let message = error(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("the next run would count it"), "{message}");
    let twice = "probe tiny.onnx --data photos -o x --features x";
    let output = igpt(folder.path(), &twice.split(' ').collect::<Vec<_>>());
    assert!(
        error(&output).contains("x: two outputs of that name"),
        "{}",
        error(&output)
    );
}
