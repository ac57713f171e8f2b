//! Why a run that has ended is a failure, if it is one.

use std::path::Path;

use anyhow::anyhow;
use igpt_firmware_core::pipeline::Cause;

use super::exit::Failure;
use super::report::Summary;
use super::service;
use super::settings::Settings;
use crate::source::SourceError;

/// The failure that the end of the source, or of the model, makes of a run. `error` is the source's last.
pub(super) fn failure(
    settings: &Settings,
    summary: &Summary,
    error: Option<SourceError>,
) -> Option<Failure> {
    let source = Path::new(&settings.source);
    let blamed = |error| settings.origin.blame_path("source", source, error);
    match (summary.cause, error) {
        (Cause::NeverOpened | Cause::SourceLost, Some(error)) => {
            let wrong = error.is_of_the_spec();
            let error = blamed(service::explain(error.into(), source));
            // What no camera and no file that may come would mend is not tried again.
            Some(match wrong {
                true => Failure::Usage(error),
                false => Failure::Source(error),
            })
        }
        (cause @ (Cause::NeverOpened | Cause::SourceLost), None) => {
            Some(Failure::Source(blamed(anyhow!("{cause}: lost"))))
        }
        _ if summary.counters.classified == 0 && summary.unclassified > 0 => {
            Some(Failure::Runtime(anyhow!("the model failed on every frame")))
        }
        (Cause::EndOfStream, _) if summary.counters.captured == 0 => {
            let error = anyhow!("{}: ended without a frame", source.display());
            Some(Failure::Source(blamed(error)))
        }
        _ => None,
    }
}
