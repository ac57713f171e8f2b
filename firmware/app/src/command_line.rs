//! The command line: what to run with which options, or what else to do.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Parser;

use super::exit::{EXIT_CODES, Failure};
use super::options::{Options, complete};
use super::origin::Origin;
use super::teach::action::Action;

const EXAMPLES: &str = "\
Examples:
  igpt-cam
        the bundled model on the bundled pictures
  igpt-cam --source /dev/video0 --sink /dev/fb0
        a USB camera, shown on the screen
  rpicam-vid -t 0 --codec mjpeg -o - | igpt-cam --source - --json
        a Raspberry Pi camera, one JSON object a frame
  igpt-cam --source photos/ --record run1/
        keep the frames and their exact logits,
  igpt-cam --source run1/ --record run2/
        so that another machine can prove it gets the same bits:
  igpt verify run1/ run2/
        (a command of the other program)
  igpt-cam teach mug --source /dev/video0
        teach it a class by showing it five times; then igpt-cam tells it";

/// Classifies what a camera sees with an ImageGPT or a Mix Transformer, on this machine, offline.
///
/// Frames come from a source, go through the model, and come out as one line each on standard
/// output and as annotated pictures in the sinks. A camera is never kept waiting: while the model
/// works the newest frame replaces older ones, and each one dropped is counted. Of files and
/// directories every picture is classified.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "igpt-cam", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct CommandLine {
    /// Read settings from this TOML file. Its keys are the long options without the dashes
    /// (`top-k = 5`, `sink = ["/dev/fb0"]`); what is given on the command line wins.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// The same as --model.
    #[arg(value_name = "FILE.onnx", conflicts_with = "model")]
    pub file: Option<PathBuf>,
    /// Everything else.
    #[command(flatten)]
    pub options: Options,
    /// Something else than to run: to teach, and what belongs to it.
    #[command(subcommand)]
    pub action: Option<Action>,
}

impl CommandLine {
    /// The command line of this process; none if all it asked for was `--help` or `--version`. A wrong one ends
    /// the process with code 2.
    ///
    /// # Errors
    /// A standard output that does not take the help, of which clap would say nothing.
    pub(super) fn of_process() -> Result<Option<Self>, Failure> {
        let help = match Self::try_parse() {
            Ok(line) => return Ok(Some(line)),
            Err(error) if error.use_stderr() => error.exit(),
            Err(help) => help,
        };
        match help.print().and_then(|()| io::stdout().flush()) {
            // Whoever went away has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Runtime(
                anyhow::Error::new(error).context("standard output"),
            )),
            _ => Ok(None),
        }
    }

    /// The options, completed from the configuration file, and which came from there.
    ///
    /// # Errors
    /// When that file cannot be read or holds an unknown key or a wrong type.
    pub fn resolve(self) -> Result<(Options, Origin), Failure> {
        let mut options = self.options;
        options.model = self.file.or(options.model);
        complete(self.config, options)
    }
}
