//! One row of a CSV for each image, for whoever wants statistics of their own.

use std::borrow::Cow;
use std::path::Path;

use igpt_runtime::tools::one_line;

use super::Data;
use super::gather::Gathered;
use super::subject::Subject;
use super::tally::Judged;
use crate::output::Staged;

/// Writes the rows; columns that do not apply (a language model's label, a comparison that was not asked for)
/// are empty.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write(
    path: &Path,
    gathered: &Gathered,
    data: &Data,
    subject: &Subject,
) -> anyhow::Result<()> {
    let labels = subject.model.config().labels();
    // A row is a line.
    let name = |index: usize| labels.get(index).map_or(Cow::Borrowed(""), |l| one_line(l));
    let staged = Staged::create(path)?;
    let mut out = csv::Writer::from_writer(staged.file());
    out.write_record([
        "image",
        "label",
        "verdict",
        "probability",
        "label_rank",
        "nats",
        "seconds",
        "against_verdict",
        "against_probability",
        "against_nats",
        "divergence",
    ])?;
    for record in &gathered.records {
        // Of a language model the verdict on the last token says nothing of the image.
        let judged = record.label.and(record.judged);
        let other = record.other;
        let other_judged = record.label.and(other.and_then(|other| other.judged));
        let verdict = |judged: Option<Judged>| {
            judged.map_or_else(String::new, |j| name(j.verdict).into_owned())
        };
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        out.write_record([
            data.set.name(record.index).to_string(),
            record
                .label
                .map_or_else(String::new, |label| name(label).into_owned()),
            verdict(judged),
            number(judged.map(|judged| judged.confidence)),
            judged.map_or_else(String::new, |judged| judged.rank.to_string()),
            number(Some(record.nats)),
            number(Some(record.seconds)),
            verdict(other_judged),
            number(other_judged.map(|judged| judged.confidence)),
            number(other.map(|other| other.nats)),
            number(other.map(|other| other.divergence)),
        ])?;
    }
    out.flush()?;
    drop(out);
    Ok(staged.finish()?)
}
