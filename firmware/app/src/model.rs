//! The model behind [`Classify`]: either family through the runtime, which file it comes from, and what it was taught.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use igpt_heads::Added;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{
    AutoImageProcessor, AutoModel, AutoModelForImageClassification, AutoSession, Error,
    ExitOptions, LoadOptions, ProcessorScratch, StabilizerOptions, Task,
};

use super::classify::{Classified, Classify};
use super::embedded::{MODEL, MODEL_NAME};
use super::exit::{Failure, chain};
use super::guard::checksum;
use super::log::{Event, Log};
use super::service;
use super::settings::Settings;
use super::teach::{ModelBytes, Seen, Teacher};
use crate::source::FrameBuffer;
use igpt_firmware_core::boot_guard::ModelId;
use igpt_firmware_core::verdict::ProblemType;

/// A model and its session, which reuses what did not change since the last frame.
struct Model {
    name: String,
    crc32: u32,
    run: RunReport,
    /// Its own head, if it has one that classifies.
    own: Option<(AutoModelForImageClassification, AutoSession)>,
    /// What it was taught, if it can be: instead of its own head as soon as there is a class.
    teacher: Option<Teacher>,
    scratch: ProcessorScratch,
    /// The tokens of the last frame.
    tokens: Vec<u16>,
}

/// A model that shares the weights of another.
fn shared(model: &AutoModel) -> Option<AutoModel> {
    Some(match model {
        AutoModel::ImageGpt(model) => AutoModel::ImageGpt(model.clone()),
        AutoModel::Segformer(model) => AutoModel::Segformer(model.clone()),
        _ => return None,
    })
}

/// How a picture becomes the model's input, in a word.
fn preprocessing(model: &AutoModel) -> Option<String> {
    let (kind, processor) = match model {
        AutoModel::ImageGpt(model) => ("imagegpt", AutoImageProcessor::from(model.processor()?)),
        AutoModel::Segformer(model) => ("segformer", AutoImageProcessor::from(model.processor()?)),
        _ => return None,
    };
    let ((height, width), backend) = (processor.size(), processor.backend().name());
    Some(format!("{kind} {width}x{height} {backend}"))
}

/// What the model was taught, where that is kept anywhere. Of a model that stands in for another one there may be nothing.
fn teacher(
    model: &AutoModel,
    id: (&str, u32),
    bytes: ModelBytes,
    settings: &Settings,
    log: &Log,
) -> Result<Option<Teacher>, Failure> {
    let (Some(file), Some(shared), Some(preprocessing)) =
        (&settings.taught, shared(model), preprocessing(model))
    else {
        return Ok(None);
    };
    let stands_in = match &bytes {
        ModelBytes::File(path) => settings.model.as_ref() != Some(path),
        ModelBytes::Embedded(_) => settings.model.is_some(),
    };
    match Teacher::open(shared, id, preprocessing, bytes, file.clone()) {
        Ok(teacher) => Ok(Some(teacher)),
        // Better its own classes than none, while somebody mends the model.
        Err(error) if stands_in => {
            log.write(&Event::Unusable {
                error: &chain(&error),
            });
            Ok(None)
        }
        Err(error) => {
            let error = service::explain(error, file);
            Err(Failure::Model(
                settings.origin.blame_path("taught", file, error),
            ))
        }
    }
}

/// Loads the file, or the bundled model. `teachable` says whether it can be taught while it runs.
///
/// # Errors
/// When it cannot be read, is damaged, or is not for classification; or when the instruction set
/// asked for is not there.
pub(super) fn load(
    path: Option<&Path>,
    settings: &Settings,
    teachable: bool,
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
            (stem.unwrap_or_default(), AutoModel::load(path, &options))
        }
        None => (
            MODEL_NAME.to_owned(),
            AutoModel::from_bytes(MODEL, &options),
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
    let run = RunReport::new(&model, path, Some(crc32));
    let bytes = path.map_or(ModelBytes::Embedded(MODEL), |path| {
        ModelBytes::File(path.to_owned())
    });
    let teacher = teacher(&model, (&name, crc32), bytes, settings, log)?;
    let repacked = model.repacked();
    let (isa, task) = (model.isa(), model.task());
    let failed = |error: Error| Failure::Model(blamed(error.into()));
    // Without a head of its own it is of use if it was taught, or can be while it runs.
    let taught = teacher.as_ref().is_some_and(Teacher::is_trained);
    let mut own = if task != Task::Classify && (taught || (teacher.is_some() && teachable)) {
        None
    } else {
        let model = AutoModelForImageClassification::try_from(model).map_err(failed)?;
        let session = model.session().map_err(failed)?;
        Some((model, session))
    };
    if let (Some(agreement), Some((_, session))) = (settings.exit, &mut own) {
        match exit_early(session, &name, agreement) {
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
        classes: own.as_ref().map_or(0, |(model, _)| model.labels().len()),
        kernels: isa.name(),
        milliseconds: begun.elapsed().as_secs_f32() * 1000.0,
    });
    if let Some(notice) = repacked {
        log.write(&Event::ModelRepacked {
            name: &name,
            notice: &notice,
        });
    }
    Ok(Box::new(Model {
        name,
        crc32,
        run,
        own,
        teacher,
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
        match (self.trained(), &self.own, &self.teacher) {
            (None, Some((model, _)), _) => model.labels(),
            (Some(teacher), ..) | (None, None, Some(teacher)) => teacher.labels(),
            (None, None, None) => &[],
        }
    }

    fn problem_type(&self) -> ProblemType {
        use igpt_runtime::ProblemType as Runtime;
        let own = self.own.as_ref().filter(|_| self.trained().is_none());
        match own.map(|(model, _)| model.problem_type()) {
            Some(Runtime::MultiLabel) => ProblemType::MultiLabel,
            Some(Runtime::Regression) => ProblemType::Regression,
            Some(Runtime::SingleLabel) | None => ProblemType::SingleLabel,
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
        if let Some((_, AutoSession::ImageGpt(session))) = &mut self.own {
            session.stabilize(options);
        }
        if let Some(teacher) = &mut self.teacher {
            teacher.stabilize(options);
        }
    }

    fn teacher(&mut self) -> Option<&mut Teacher> {
        self.teacher.as_mut()
    }

    fn show(
        &mut self,
        frame: &FrameBuffer,
        showing: u64,
        label: Option<&str>,
    ) -> anyhow::Result<Added> {
        let teacher = self.teacher.as_mut();
        let teacher =
            teacher.context("what is taught is kept nowhere: name a file with --taught")?;
        let seen = match self.tokens.is_empty() {
            true => Seen::Picture(frame),
            false => Seen::Tokens(&self.tokens),
        };
        teacher.show(showing, label, seen)
    }

    fn classify(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified> {
        if self.trained().is_some() || self.own.is_none() {
            return self.recognise(frame);
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let Self {
            own,
            scratch,
            tokens,
            ..
        } = self;
        let (model, session) = own.as_mut().context("no head of its own")?;
        let begun = Instant::now();
        let (crc32, count, resize, classification) = match (model.processor(), session) {
            (AutoImageProcessor::ImageGpt(_), AutoSession::ImageGpt(session)) => {
                session.tokens_into(&frame.rgb, width, height, tokens)?;
                let resize = begun.elapsed();
                let verdict = session.classify(tokens)?;
                (checksum_of(tokens), tokens.len(), resize, verdict)
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
            exits: match &self.own {
                Some((_, AutoSession::ImageGpt(session))) => session.exit_counts(),
                _ => None,
            },
            logits: classification.logits,
            resize,
            model: begun.elapsed() - resize,
            recognised: None,
        })
    }
}

impl Model {
    /// What was taught, if there is a class of it.
    fn trained(&self) -> Option<&Teacher> {
        self.teacher.as_ref().filter(|teacher| teacher.is_trained())
    }

    /// Classifies by what was taught; before the first class everything is none of them.
    fn recognise(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified> {
        let begun = Instant::now();
        let Self {
            teacher, tokens, ..
        } = self;
        let teacher = teacher.as_mut().context("nothing was taught")?;
        teacher.tokens_into(frame, tokens)?;
        let resize = begun.elapsed();
        let seen = match tokens.is_empty() {
            true => Seen::Picture(frame),
            false => Seen::Tokens(tokens),
        };
        let tokens_crc32 = match seen {
            Seen::Tokens(tokens) => checksum_of(tokens),
            Seen::Picture(frame) => crc32fast::hash(&frame.rgb),
        };
        let mut classified = Classified {
            tokens_crc32,
            tokens: tokens.len(),
            exit_layer: None,
            exits: None,
            logits: vec![1.0],
            scores: vec![1.0],
            reused_tokens: 0,
            changed_tokens: 0,
            resize,
            model: std::time::Duration::ZERO,
            recognised: None,
        };
        if teacher.is_trained() {
            let (recognised, features) = teacher.recognise(seen)?;
            classified.scores.clone_from(&recognised.probabilities);
            classified.logits.clone_from(&recognised.probabilities);
            classified.reused_tokens = features.reused_tokens;
            classified.changed_tokens = features.changed_tokens;
            classified.recognised = Some(recognised);
        }
        classified.model = begun.elapsed() - resize;
        Ok(classified)
    }
}

/// CRC-32 of tokens as little-endian u16s.
fn checksum_of(tokens: &[u16]) -> u32 {
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token.to_le_bytes())
        .collect();
    crc32fast::hash(&bytes)
}
