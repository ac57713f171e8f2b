//! What the log tells, as defmt log points.

use igpt_firmware_core::verdict::Score;

use super::event::Event;

/// One log point per kind of event: the words stay in the ELF file, only the values travel.
pub(super) fn defmt_point(event: &Event<'_>) {
    match event {
        Event::ModelLoaded {
            name,
            classes,
            kernels,
            milliseconds,
        } => {
            defmt::info!(
                "model {=str}: {=usize} classes, {=str} kernels, loaded in {=f32} ms",
                name,
                classes,
                kernels,
                milliseconds
            );
        }
        Event::ModelRepacked { name, notice } => {
            defmt::info!("model {=str}: {=str}", name, notice);
        }
        Event::NoExits { error } => {
            defmt::warn!("{=str}; every frame is computed to the end", error);
        }
        Event::ExitsOff { agreed, audited } => {
            defmt::warn!(
                "early exits are off from now on: the whole model agreed on {=u64} of {=u64} that were computed to the end",
                agreed,
                audited
            );
        }
        Event::FellBack { reason, instead } => {
            defmt::error!("{=str}; using {=str} instead", reason, instead)
        }
        Event::GuardFailed { error } => {
            defmt::warn!("boot guard: {}", defmt::Display2Format(error))
        }
        Event::Taught { what } => defmt::info!("taught: {=str}", what),
        Event::Unusable { error } => {
            defmt::warn!("{=str}; going on without what was taught", error);
        }
        Event::Listening { path } => defmt::info!("control: {=str}", path),
        Event::SourceOpened { description } => defmt::info!("source: {=str}", description),
        Event::SourceLost { error, retry_in } => defmt::warn!(
            "source lost: {}; trying again in {=u64:ms}",
            defmt::Display2Format(error),
            retry_in.as_millis() as u64
        ),
        Event::Skipped { name, reason } => defmt::warn!("skipped {=str}: {=str}", name, reason),
        Event::SinkOpened { description } => defmt::info!("sink: {=str}", description),
        Event::SinkFailed { error, count } => {
            defmt::warn!(
                "{} ({=u64} pictures not shown so far)",
                defmt::Display2Format(error),
                count
            );
        }
        Event::LinesLost {
            output,
            error,
            count,
        } => {
            defmt::warn!(
                "{=str}: {=str} ({=u64} lines lost so far)",
                output,
                error,
                count
            );
        }
        Event::RecordFailed { error, count } => {
            defmt::warn!(
                "record: {} ({=u64} frames not kept so far)",
                defmt::Display2Format(error),
                count
            );
        }
        Event::ClassifyFailed { frame, error } => {
            defmt::error!(
                "{=str}: not classified: {}",
                frame,
                defmt::Display2Format(error)
            );
        }
        Event::Verdict {
            seq,
            label,
            score: Score::Probability(probability),
            milliseconds,
            dropped,
        } => defmt::info!(
            "frame {=u64}: {=str} p {=f32} in {=f32} ms, {=u64} dropped so far",
            seq,
            label,
            probability,
            milliseconds,
            dropped
        ),
        Event::Verdict {
            seq,
            label,
            score: Score::Value(value),
            milliseconds,
            dropped,
        } => defmt::info!(
            "frame {=u64}: {=str} = {=f32} in {=f32} ms, {=u64} dropped so far",
            seq,
            label,
            value,
            milliseconds,
            dropped
        ),
        Event::Failed { failure } => {
            let code = failure.code();
            defmt::error!(
                "ending with code {=u8}: {}",
                code,
                defmt::Display2Format(failure)
            );
        }
        Event::Unexpected { error } => {
            defmt::error!("please report this: {}", defmt::Display2Format(error));
        }
    }
}
