//! From a command line to an exit code: sets everything up in the order in which mistakes are cheapest, then runs.

use std::io::{self, ErrorKind::NotFound, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::bell::Shared;
use super::capture::Opener;
use super::changes::{Changes, NoEvents};
use super::classify::Classify;
use super::command_line::CommandLine;
use super::engine::{Engine, Parts};
use super::errand;
use super::exit::{self, Failure};
use super::guard::{self, Guard};
use super::log::{Event, Log, LogTarget};
use super::model;
use super::options::Options;
use super::origin::Origin;
use super::outputs;
use super::record::Recorder;
use super::render::Renderer;
use super::report::{Reporter, Summary};
use super::sample::SampleSource;
use super::service;
use super::settings::{self, Settings};
use super::signals;
use super::teach::control::{Asked, Control};
use super::worker::{How, Outputs, Worker};

use crate::sink::{self, FrameSink, SinkError};
use crate::source;

/// Reads the command line, runs the app, and says how it went. clap itself ends the process with
/// code 2 for a wrong command line.
pub fn main() -> ExitCode {
    match CommandLine::of_process().and_then(|line| line.map_or(Ok(()), run_line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A standard error that is full or gone leaves nobody to tell, but the exit code.
            let _ = writeln!(io::stderr(), "igpt-cam: {failure}");
            ExitCode::from(&failure)
        }
    }
}

fn run_line(line: CommandLine) -> Result<(), Failure> {
    let shared = Arc::new(Shared::new());
    if let Some(action) = line.action {
        return errand::run(action, |options, origin, asked| {
            start(options, origin, &shared, Some(asked)).map(drop)
        });
    }
    let (options, origin) = line.resolve()?;
    start(options, &origin, &shared, None).map(drop)
}

/// Sets everything up in the order in which mistakes are cheapest, then runs to the end, or until the one thing is done that
/// was asked for.
fn start(
    options: Options,
    origin: &Origin,
    shared: &Arc<Shared>,
    errand: Option<Asked>,
) -> Result<Summary, Failure> {
    let settings = settings::checked(options, origin)?;
    outputs::check(&settings).map_err(Failure::Usage)?;
    let log = Log::open(settings.log.clone()).map_err(|error| {
        Failure::Output(match &settings.log {
            LogTarget::DefmtFile(path) => origin.blame_path("log", path, error),
            _ => origin.blame("log", error),
        })
    });
    let log = Arc::new(log?);
    let outcome = start_logged(settings, shared, &log, errand);
    if let Err(failure) = &outcome {
        log.write(&Event::Failed { failure });
    }
    let closed = log.close(origin).map_err(Failure::Runtime);
    outcome.and_then(|summary| closed.map(|()| summary))
}

fn start_logged(
    settings: Settings,
    shared: &Arc<Shared>,
    log: &Arc<Log>,
    errand: Option<Asked>,
) -> Result<Summary, Failure> {
    signals::watch(shared)
        .context("cannot install signal handlers")
        .map_err(Failure::Runtime)?;
    let reporter = match &errand {
        None => reporter(&settings),
        // What is told then is the answers.
        Some(_) => Reporter::new(false, Box::new(io::sink()), Box::new(io::sink())),
    };
    let teachable = errand.is_some() || settings.control.is_some();
    let (mut guard, model) = guard_model(&settings, log);
    let classifier = match model::load(model.as_deref(), &settings, teachable, log) {
        // The same file fails in the same way at every start: no need to wait for three.
        Err(Failure::Model(error)) => match guard.as_mut().and_then(Guard::fall_back) {
            Some(copy) => {
                log.write(&Event::FellBack {
                    reason: &exit::chain(&error),
                    instead: &copy.display().to_string(),
                });
                model::load(Some(&copy), &settings, teachable, log)?
            }
            None => return Err(Failure::Model(error)),
        },
        loaded => loaded?,
    };
    if let Err(invalid) = settings.check_for(classifier.problem_type(), classifier.name()) {
        not_the_models_fault(guard.as_mut());
        return Err(Failure::Usage(settings.origin.explain(invalid)));
    }
    let Opened {
        sinks,
        recorder,
        changes,
    } = match open_outputs(&settings, &*classifier) {
        Ok(opened) => opened,
        Err(failure) => {
            not_the_models_fault(guard.as_mut());
            return Err(failure);
        }
    };
    let outputs: Vec<String> = sinks.iter().map(|sink| sink.describe()).collect();
    for description in &outputs {
        log.write(&Event::SinkOpened { description });
    }
    let control = match control(&settings, shared, log) {
        Ok(control) => control,
        Err(failure) => {
            not_the_models_fault(guard.as_mut());
            return Err(failure);
        }
    };
    let to = Outputs {
        reporter,
        renderer: Renderer::new(sinks, settings.canvas),
        recorder,
        changes,
    };
    let how = How {
        top_k: settings.top_k,
        strict: settings.strict,
    };
    let mut worker = Worker::new(classifier, to, how).map_err(|failure| match failure {
        Failure::Model(error) => Failure::Model(settings.origin.blame("model", error)),
        failure => failure,
    })?;
    worker.start(&settings.source);
    if errand.is_none()
        && worker
            .pupil()
            .teacher()
            .is_some_and(|teacher| teacher.is_trained())
    {
        worker.tell_taught(log);
    }
    let parts = Parts {
        opener: opener(&settings.source),
        settings,
        shared: Arc::clone(shared),
        worker,
        guard,
        log: Arc::clone(log),
        outputs,
        control,
        errand,
    };
    Engine::new(parts).run()
}

/// The control socket, if there is to be one.
fn control(
    settings: &Settings,
    shared: &Arc<Shared>,
    log: &Log,
) -> Result<Option<Control>, Failure> {
    let Some(path) = &settings.control else {
        return Ok(None);
    };
    let control = Control::listen(path, shared).map_err(|error| {
        let error = anyhow::Error::new(error).context(path.display().to_string());
        let error = service::explain(error, path);
        Failure::Output(settings.origin.blame_path("control", path, error))
    })?;
    log.write(&Event::Listening {
        path: &path.display().to_string(),
    });
    Ok(Some(control))
}

/// The run ends before it began, and the model is not to be blamed.
fn not_the_models_fault(guard: Option<&mut Guard>) {
    if let Some(guard) = guard {
        // What cannot be written now will be reported at the next start.
        let _ = guard.stopped(0);
    }
}

/// The sinks, and the record if there is to be one.
struct Opened {
    sinks: Vec<Box<dyn FrameSink>>,
    recorder: Option<Recorder>,
    changes: Option<Changes>,
}

fn open_outputs(settings: &Settings, classifier: &dyn Classify) -> Result<Opened, Failure> {
    let explained = |option, error, path: &Path| {
        let error = service::explain(error, path);
        settings.origin.blame_path(option, path, error)
    };
    let mut sinks = Vec::new();
    for spec in &settings.sinks {
        let opened = sink::open(spec).map_err(|error| {
            let screen = spec.starts_with("/dev/");
            match error {
                SinkError::Open { ref source, .. } if screen && source.kind() == NotFound => {
                    Failure::Screen(settings.origin.blame("sink", error.into()))
                }
                error => Failure::Output(explained("sink", error.into(), Path::new(spec))),
            }
        });
        sinks.push(opened?);
    }
    let recorder = settings.record.as_deref().map(|dir| {
        Recorder::create(dir, classifier)
            .map_err(|error| Failure::Output(explained("record", error, dir)))
    });
    let changes = Changes::open(settings, classifier.labels()).map_err(|error| match error {
        NoEvents::Label(invalid) => Failure::Usage(settings.origin.explain(invalid)),
        NoEvents::File(error) => {
            let path = Path::new(settings.events.as_deref().unwrap_or_default());
            let error = anyhow::Error::new(error).context(path.display().to_string());
            Failure::Output(explained("events", error, path))
        }
    });
    Ok(Opened {
        sinks,
        recorder: recorder.transpose()?,
        changes: changes?,
    })
}

/// Verdicts go to standard output unless the log does.
fn reporter(settings: &Settings) -> Reporter {
    if settings.log == LogTarget::DefmtStdout {
        Reporter::new(
            settings.json,
            Box::new(io::stderr()),
            Box::new(io::stderr()),
        )
    } else {
        Reporter::new(
            settings.json,
            Box::new(io::stdout()),
            Box::new(io::stderr()),
        )
    }
}

/// The boot guard, where there is a place for its notes, and the model file to load. The bundled
/// model needs no guard: there is nothing to fall back to.
fn guard_model(settings: &Settings, log: &Log) -> (Option<Guard>, Option<PathBuf>) {
    let (Some(dir), Some(configured)) = (&settings.state_dir, &settings.model) else {
        return (None, settings.model.clone());
    };
    match Guard::start(dir, configured) {
        Ok((guard, choice)) => {
            let reason = format!("{}: set aside after repeated crashes", configured.display());
            let model = match choice {
                guard::Choice::Configured => Some(configured.clone()),
                guard::Choice::LastGood(copy) => {
                    log.write(&Event::FellBack {
                        reason: &reason,
                        instead: &copy.display().to_string(),
                    });
                    Some(copy)
                }
                guard::Choice::Bundled => {
                    log.write(&Event::FellBack {
                        reason: &reason,
                        instead: "the bundled model",
                    });
                    None
                }
            };
            (Some(guard), model)
        }
        Err(error) => {
            let error = format!("{}: {error}", dir.display());
            log.write(&Event::GuardFailed { error: &error });
            (None, Some(configured.clone()))
        }
    }
}

fn opener(spec: &str) -> Opener {
    if spec == settings::SAMPLE {
        return Arc::new(|_| Ok(Box::new(SampleSource::default())));
    }
    let spec = spec.to_owned();
    Arc::new(move |options| source::open(&spec, options))
}
