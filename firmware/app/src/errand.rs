//! `igpt-cam teach` and its kin, from a command line to an exit code: of the running app, or without one.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use super::exit::{Failure, chain};
use super::log::{Log, LogTarget};
use super::model;
use super::options::{Options, complete, parse_time};
use super::origin::Origin;
use super::settings;
use super::teach::action::Action;
use super::teach::client;
use super::teach::control::Asked;
use super::teach::request::{Request, text};

/// Does what was asked for. `show` runs the app for a showing.
///
/// # Errors
/// What the command line, the model or the file of what was taught does not allow.
pub(super) fn run(
    action: Action,
    show: impl FnOnce(Options, &Origin, Asked) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut request, (config, options)) = action.split();
    let own_source = options.source.clone();
    let (options, origin) = complete(config, options)?;
    let usage = |error: String| Failure::Usage(anyhow!(error));
    match &mut request {
        Request::Teach { interval, .. } => {
            if let Some(text) = &options.interval {
                let pause = parse_time("interval", text);
                let pause = pause.map_err(|error| Failure::Usage(origin.explain(error)))?;
                *interval = Some(pause.as_secs_f64());
            }
        }
        Request::Export { file } => {
            let whole = std::path::absolute(&*file).context("the working folder");
            *file = whole.map_err(Failure::Usage)?;
        }
        _ => {}
    }
    request.check().map_err(usage)?;
    let json = options.json.unwrap_or(false);
    if let Some(control) = &options.control {
        if let Some(source) = own_source {
            return Err(usage(format!(
                "--source {source}: the app at {} shows what its own source gives; leave one of them out",
                control.display()
            )));
        }
        let told = |answer: &Value| print(answer, json);
        return client::ask(control, &request, told).map_err(Failure::Runtime);
    }
    if matches!(request, Request::Teach { .. }) {
        if options.source.is_none() {
            return Err(usage(
                "nothing to show: name a camera, pictures or a stream with --source, or the running app with --control".into(),
            ));
        }
        return teach(request, options, &origin, json, show);
    }
    let settings = settings::checked(options, &origin)?;
    let nobody = Log::open(LogTarget::None).map_err(Failure::Output)?;
    let mut pupil = model::load(settings.model.as_deref(), &settings, true, &nobody)?;
    let name = pupil.name().to_owned();
    let Some(teacher) = pupil.teacher() else {
        return Err(usage(
            "what is taught is kept nowhere: name the file with --taught, or the model with --model".into(),
        ));
    };
    let answer = teacher
        .obey(&request, &name, None)
        .map_err(Failure::Runtime)?;
    print(&answer, json).map_err(Failure::Runtime)
}

/// Runs the app until what is shown was learnt.
fn teach(
    request: Request,
    mut options: Options,
    origin: &Origin,
    json: bool,
    show: impl FnOnce(Options, &Origin, Asked) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Between two examples, not between two frames.
    options.interval = None;
    let (answers, coming) = channel();
    let printer = thread::Builder::new()
        .name("answers".to_owned())
        .spawn(move || print_all(&coming, json))
        .context("cannot start a thread")
        .map_err(Failure::Runtime)?;
    let shown = show(options, origin, Asked { request, answers });
    let printed = printer
        .join()
        .unwrap_or_else(|_| Err(anyhow!("the thread that prints is gone")));
    shown?;
    printed.map_err(Failure::Runtime)
}

/// Prints answers to the last one.
fn print_all(coming: &Receiver<Value>, json: bool) -> anyhow::Result<()> {
    let mut last = None;
    while let Ok(answer) = coming.recv() {
        if answer["event"] != "error" {
            print(&answer, json)?;
        }
        last = Some(answer);
    }
    match last {
        Some(answer) if answer["event"] == "error" => {
            Err(anyhow!("{}", answer["error"].as_str().unwrap_or_default()))
        }
        Some(answer) if answer["event"] == "done" => Ok(()),
        _ => Err(anyhow!("it ended before anything was learnt")),
    }
}

/// Prints an answer.
fn print(answer: &Value, json: bool) -> anyhow::Result<()> {
    let line = if json {
        answer.to_string()
    } else {
        text(answer)
    };
    match writeln!(io::stdout(), "{line}") {
        // Whoever went away has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("standard output: {}", chain(&error.into())))
        }
        _ => Ok(()),
    }
}
