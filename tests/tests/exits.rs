//! A classifier that may stop early: made by `igpt probe --exits`, its verdicts those of its probes or of the whole model, bit for
//! bit, whatever came before; its promises counted, and what breaks them found out.

// A probe is fitted here, for which an emulated processor takes minutes; its operators are those of other heads.
#![cfg(target_arch = "x86_64")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use igpt_runtime::{
    Error, ExitError, ExitOptions, ImageGptForImageClassification, LoadOptions, StabilizerOptions,
    image_io,
};
use igpt_tests::images::make_image;
use igpt_tests::noisy::{self, sample};
use igpt_tools::skips::BadPictures;
use igpt_tools::verbs::{Backend, probe};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/fashion-mnist");
const LAYERS: [usize; 2] = [1, 3];

/// The default model with exits, calibrated on noisy copies of its sample.
struct Made {
    _folder: tempfile::TempDir,
    file: PathBuf,
    report: probe::WithExits,
}

/// Made once for all tests.
fn made() -> &'static Made {
    static MADE: LazyLock<Made> = LazyLock::new(make);
    &MADE
}

fn make() -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let images = folder.path().join("images");
    noisy::write(&images, 20);
    let file = folder.path().join("early.onnx");
    let model = Path::new(MODELS).join("igpt-fashion-mnist-int8.onnx");
    let args = probe::Args {
        model,
        data: images,
        test: None,
        held_out: Some(0.9),
        limit: None,
        seed: 0,
        c: 1.0,
        output: Some(file.clone()),
        layer: None,
        exits: LAYERS.map(|layer| layer as u16).into(),
        plots: None,
        plot: None,
        features: None,
        bad_pictures: BadPictures::default(),
        backend: Backend::default(),
        json: false,
    };
    let (report, late) = probe::with_exits(&args).expect("exits");
    late.end().expect("written");
    Made {
        _folder: folder,
        file,
        report,
    }
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|x| x.to_bits()).collect()
}

fn load(path: &Path, threads: usize) -> ImageGptForImageClassification {
    let options = LoadOptions::new().with_threads(threads);
    ImageGptForImageClassification::load(path, &options).expect("a classifier")
}

#[test]
fn verdicts_are_the_probes_or_the_whole_models_whatever_came_before() {
    let made = made();
    let levels = &made.report.exits.levels;
    assert_eq!(made.report.exits.tested_images, 216);
    assert!(!levels.is_empty() && levels.iter().all(|level| level.saved > 0.0));
    let plain = load(&Path::new(MODELS).join("igpt-fashion-mnist-int8.onnx"), 1);
    let early = load(&made.file, 2);
    let exits = early.model().exits().expect("exits").clone();
    assert_eq!(
        (exits.layers.as_slice(), &exits.levels),
        (&LAYERS[..], levels)
    );
    let agreement = levels[levels.len() - 1].agreement;
    let level = exits.level(agreement).expect("a level").clone();

    let mut session = early.session().expect("a session");
    let audit = ExitOptions::new(agreement).with_audit(0.0);
    session.exit_early(Some(audit)).expect("exits");
    session.stabilize(Some(StabilizerOptions::default()));
    // A stream that stands, moves in its lower part and changes: exits come at every depth, and so does what was kept.
    let pictures: Vec<_> = sample()
        .iter()
        .map(|path| image_io::decode_file(path).expect("a picture"))
        .collect();
    let (mut stopped, mut whole) = (0, 0);
    for frame in 0..60usize {
        let (now, other) = (&pictures[frame / 7 % 24], &pictures[(frame * 5) % 24]);
        let mut rgb = now.rgb().to_vec();
        // Below some row the picture is a blend, which no probe is sure of for long.
        if frame % 3 > 0 {
            let from = rgb.len() * (frame % 4) / 4;
            let below = rgb[from..].iter_mut().zip(&other.rgb()[from..]);
            below.for_each(|(level, other)| *level = level.midpoint(*other));
        }
        if frame % 5 == 4 {
            // Nothing that a probe could know.
            rgb = make_image("noise", frame as u64, now.width(), now.height());
        }
        let verdict = session
            .classify_rgb8(&rgb, now.width(), now.height())
            .expect("a verdict");
        let tokens = session.tokens().to_vec();
        let by_exit = early.logits_by_exit(&tokens).expect("logits");
        let alone = plain.model().logits(&tokens).expect("logits");
        assert_eq!(bits(&by_exit[LAYERS.len()]), bits(&alone), "frame {frame}");
        let expected = (0..LAYERS.len()).find(|exit| level.stops(*exit, &by_exit[*exit]));
        assert_eq!(
            verdict.exit_layer,
            expected.map(|exit| LAYERS[exit]),
            "frame {frame}"
        );
        let logits = &by_exit[expected.unwrap_or(LAYERS.len())];
        assert_eq!(bits(&verdict.logits), bits(logits), "frame {frame}");
        stopped += u32::from(expected.is_some());
        whole += u32::from(expected.is_none());
    }
    assert!(
        stopped > 10 && whole > 3,
        "{stopped} stopped, {whole} did not"
    );
    let counts = session.exit_counts().expect("counts");
    assert_eq!(counts.audited, 0);
    assert!(counts.exited > 0 && counts.frames >= counts.exited);
}

#[test]
fn audited_frames_are_computed_to_the_end_and_show_a_broken_promise() {
    let made = made();
    let early = load(&made.file, 1);
    let mut session = early.session().expect("a session");
    session
        .exit_early(Some(ExitOptions::new(0.5).with_audit(1.0)))
        .expect("exits");
    for path in sample() {
        let picture = image_io::decode_file(&path).expect("a picture");
        let verdict = session.classify_image(&picture).expect("a verdict");
        assert_eq!(verdict.exit_layer, None);
        let by_exit = early.logits_by_exit(session.tokens()).expect("logits");
        assert_eq!(bits(&verdict.logits), bits(&by_exit[LAYERS.len()]));
    }
    let counts = session.exit_counts().expect("counts");
    assert_eq!((counts.frames, counts.exited), (24, 0));
    assert!(counts.audited > 5 && counts.agreed <= counts.audited);
    session.exit_early(None).expect("no exits");
    assert_eq!(session.exit_counts(), None);
}

#[test]
fn what_cannot_be_promised_is_refused_by_name() {
    let plain = load(&Path::new(MODELS).join("igpt-fashion-mnist-int8.onnx"), 1);
    let mut session = plain.session().expect("a session");
    let refused = session.exit_early(Some(ExitOptions::new(0.9)));
    let Err(
        error @ Error::Exit {
            source: ExitError::None,
            ..
        },
    ) = refused
    else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("igpt probe"), "{error}");
    let made = made();
    let mut session = load(&made.file, 1).session().expect("a session");
    let error = session.exit_early(Some(ExitOptions::new(0.9999)));
    let error = error.expect_err("too much").to_string();
    assert!(
        error.contains("0.9999") && error.contains("216 images"),
        "{error}"
    );
    // The session goes on as it was.
    let picture = image_io::decode_file(&sample()[0]).expect("a picture");
    assert_eq!(
        session
            .classify_image(&picture)
            .expect("a verdict")
            .exit_layer,
        None
    );
}
