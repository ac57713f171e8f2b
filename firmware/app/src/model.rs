//! The model behind [`Classify`]: either family through the runtime, and which file it comes from.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{
    AutoImageProcessor, AutoModelForImageClassification, AutoSession, Error, ExitOptions,
    LoadOptions, ProcessorScratch, StabilizerOptions,
};

use super::classify::{Classified, Classify};
use super::embedded::{MODEL, MODEL_NAME};
use super::exit::Failure;
use super::guard::checksum;
use super::log::{Event, Log};
use super::service;
use super::settings::Settings;
use crate::source::FrameBuffer;
use igpt_firmware_core::boot_guard::ModelId;
use igpt_firmware_core::verdict::ProblemType;

/// A model and its session, which reuses what did not change since the last frame.
struct Model {
    name: String,
    crc32: u32,
    run: RunReport,
    model: AutoModelForImageClassification,
    session: AutoSession,
    scratch: ProcessorScratch,
    tokens: Vec<u16>,
}

/// Loads the file, or the bundled model.
///
/// # Errors
/// When it cannot be read, is damaged, or is not for classification; or when the instruction set
/// asked for is not there.
pub(super) fn load(
    path: Option<&Path>,
    settings: &Settings,
    log: &Log,
) -> Result<Box<dyn Classify>, Failure> {
    let begun = Instant::now();
    let origin = &settings.origin;
    let threads = settings.threads.unwrap_or(0);
    let options = LoadOptions::new()
        .with_threads(threads)
        .with_cpu(settings.isa);
    // The copy that stands in for a model that failed was nobody's setting.
    let blamed = |error: anyhow::Error| match path {
        Some(path) if settings.model.as_deref() == Some(path) => {
            origin.blame_path("model", path, service::explain(error, path))
        }
        Some(path) => service::explain(error, path),
        None => error,
    };
    let (name, model) = match path {
        Some(path) => {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            (
                stem.unwrap_or_default(),
                AutoModelForImageClassification::load(path, &options),
            )
        }
        None => (
            MODEL_NAME.to_owned(),
            AutoModelForImageClassification::from_bytes(MODEL, &options),
        ),
    };
    let model = model.map_err(|error| match error {
        Error::Isa(error) => Failure::Usage(origin.blame("isa", error.into())),
        Error::Threads { .. } => Failure::Model(origin.blame("threads", error.into())),
        error => Failure::Model(blamed(error.into())),
    })?;
    let crc32 = match path {
        Some(path) => checksum(path)
            .map(|ModelId(crc32)| crc32)
            .with_context(|| format!("{}: cannot read again", path.display()))
            .map_err(|error| Failure::Model(blamed(error)))?,
        None => crc32fast::hash(MODEL),
    };
    let mut session = model
        .session()
        .map_err(|error| Failure::Model(blamed(error.into())))?;
    if let Some(agreement) = settings.exit {
        let allowed = exit_early(&mut session, &name, agreement);
        match allowed {
            Ok(()) => {}
            Err(error) if path == settings.model.as_deref() => {
                return Err(Failure::Usage(origin.blame("exit", error)));
            }
            // Of the model that stands in for one that failed nobody asked it.
            Err(error) => log.write(&Event::NoExits {
                error: &format!("{error:#}"),
            }),
        }
    }
    log.write(&Event::ModelLoaded {
        name: &name,
        classes: model.labels().len(),
        kernels: model.isa().name(),
        milliseconds: begun.elapsed().as_secs_f32() * 1000.0,
    });
    if let Some(notice) = model.repacked() {
        log.write(&Event::ModelRepacked {
            name: &name,
            notice: &notice,
        });
    }
    Ok(Box::new(Model {
        name,
        crc32,
        run: RunReport::new(&model, path, Some(crc32)),
        model,
        session,
        scratch: ProcessorScratch::default(),
        tokens: Vec::new(),
    }))
}

/// Lets a session stop early.
fn exit_early(session: &mut AutoSession, name: &str, agreement: f64) -> anyhow::Result<()> {
    match session {
        AutoSession::ImageGpt(session) => {
            Ok(session.exit_early(Some(ExitOptions::new(agreement)))?)
        }
        _ => bail!("model {name} is a Mix Transformer, early exits are for ImageGPT"),
    }
}

impl Classify for Model {
    fn labels(&self) -> &[String] {
        self.model.labels()
    }

    fn problem_type(&self) -> ProblemType {
        use igpt_runtime::ProblemType as Runtime;
        match self.model.problem_type() {
            Runtime::SingleLabel => ProblemType::SingleLabel,
            Runtime::MultiLabel => ProblemType::MultiLabel,
            Runtime::Regression => ProblemType::Regression,
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn crc32(&self) -> u32 {
        self.crc32
    }

    fn run(&self) -> Option<&RunReport> {
        Some(&self.run)
    }

    fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        if let AutoSession::ImageGpt(session) = &mut self.session {
            session.stabilize(options);
        }
    }

    fn classify(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let Self {
            model,
            session,
            scratch,
            tokens,
            ..
        } = self;
        let begun = Instant::now();
        let (crc32, count, resize, classification) = match (model.processor(), session) {
            (AutoImageProcessor::ImageGpt(_), AutoSession::ImageGpt(session)) => {
                session.tokens_into(&frame.rgb, width, height, tokens)?;
                let resize = begun.elapsed();
                let bytes: Vec<u8> = tokens
                    .iter()
                    .flat_map(|token| token.to_le_bytes())
                    .collect();
                let verdict = session.classify(tokens)?;
                (crc32fast::hash(&bytes), tokens.len(), resize, verdict)
            }
            (processor, session) => {
                let (to_height, to_width) = processor.size();
                let resized = processor.resized_into(&frame.rgb, width, height, scratch)?;
                let resize = begun.elapsed();
                // Of the right size already: it is only normalised.
                let verdict = session.classify_rgb8(resized, to_width, to_height)?;
                (crc32fast::hash(resized), 0, resize, verdict)
            }
        };
        Ok(Classified {
            tokens_crc32: crc32,
            tokens: count,
            scores: classification.scores(),
            reused_tokens: classification.reused_tokens,
            changed_tokens: classification.changed_tokens,
            exit_layer: classification.exit_layer,
            exits: match &self.session {
                AutoSession::ImageGpt(session) => session.exit_counts(),
                _ => None,
            },
            logits: classification.logits,
            resize,
            model: begun.elapsed() - resize,
        })
    }
}
