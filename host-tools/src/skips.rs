//! Pictures that cannot be read: skipped, counted and named, or with `--strict` the end of a verb.

use std::io::{self, Write};

use anyhow::anyhow;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::failure::{Blame as _, Failure, say, told_once};
use crate::labelled::ImageName;
use crate::listing::PassedOver;

/// Most that are named: a folder of a million that are all damaged says so without a million lines.
const NAMED: usize = 100;

/// What to do about a picture that cannot be read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct BadPictures {
    /// Stop at the first picture that cannot be read, with exit code 3. Without it such pictures are skipped,
    /// named on standard error and counted in the report.
    #[arg(long)]
    pub strict: bool,
}

/// A picture that was skipped.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Which.
    pub file: ImageName,
    /// What is wrong with it.
    pub reason: String,
}

/// Every picture that was skipped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Skips {
    /// How many.
    pub skipped_images: usize,
    /// The first hundred of them.
    pub skipped: Vec<Skipped>,
    /// What lies among the pictures and is none.
    #[serde(flatten)]
    pub passed_over: PassedOver,
}

/// Reads pictures by the rule.
#[derive(Debug)]
pub struct Reader {
    strict: bool,
    bar: ProgressBar,
    skips: Skips,
}

impl Reader {
    /// What is skipped is told around `bar`.
    pub fn new(how: BadPictures, bar: &ProgressBar) -> Self {
        Self {
            strict: how.strict,
            bar: bar.clone(),
            skips: Skips::default(),
        }
    }

    /// Notes what was passed over where the pictures lie.
    pub fn pass_over(&mut self, passed_over: PassedOver) {
        self.skips.passed_over.extend(passed_over);
    }

    /// The picture, or nothing if it is to be skipped.
    ///
    /// # Errors
    /// With `--strict`, what is wrong with it.
    pub fn take<T>(
        &mut self,
        file: ImageName,
        picture: anyhow::Result<T>,
    ) -> Result<Option<T>, Failure> {
        let error = match picture {
            Ok(picture) => return Ok(Some(picture)),
            Err(error) if self.strict => return Err(Failure::BadInput(error)),
            Err(error) => told_once(&error),
        };
        let prefix = format!("{file}: ");
        let reason = error.strip_prefix(&prefix).unwrap_or(&error).to_owned();
        self.skips.skipped_images += 1;
        if self.skips.skipped.len() < NAMED {
            self.bar
                .suspend(|| say(&format!("skipped {file}: {reason}")));
            self.skips.skipped.push(Skipped { file, reason });
        } else if self.skips.skipped_images == NAMED + 1 {
            let more = "more pictures cannot be read; they are counted, not named";
            self.bar.suspend(|| say(more));
        }
        Ok(None)
    }

    /// What was skipped, when all were looked at and `read` of them were not skipped.
    ///
    /// # Errors
    /// None is left (bad input).
    pub fn end(self, read: usize) -> Result<Skips, Failure> {
        self.check(read).map(|()| self.skips)
    }

    /// As [`Reader::end`], with more to come.
    ///
    /// # Errors
    /// As [`Reader::end`].
    pub fn check(&self, read: usize) -> Result<(), Failure> {
        match self.skips.skipped.first().filter(|_| read == 0) {
            Some(Skipped { file, reason }) => Err(anyhow!(
                "no picture can be read; of {} the first is {file}: {reason}",
                self.skips.skipped_images
            ))
            .bad_input(),
            None => Ok(()),
        }
    }
}

impl Skips {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.skipped_images += other.skipped_images;
        self.skipped.extend(other.skipped);
        self.skipped.truncate(NAMED);
        self.passed_over.extend(other.passed_over);
        self
    }

    /// A line of a report, if anything was skipped, and one if anything was passed over.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        match self.skipped_images {
            0 => {}
            1 => writeln!(out, "1 picture was skipped: it cannot be read")?,
            n => writeln!(out, "{n} pictures were skipped: they cannot be read")?,
        }
        match self.passed_over.summary() {
            Some(line) => writeln!(out, "{line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(strict: bool) -> Reader {
        Reader::new(BadPictures { strict }, &ProgressBar::hidden())
    }

    #[test]
    fn what_cannot_be_read_is_named_once_counted_and_bounded() {
        let mut reader = reader(false);
        let file = |i: usize| ImageName::File(format!("{i}.png").into());
        assert_eq!(reader.take(file(0), Ok(5)).unwrap(), Some(5));
        for index in 1..=150 {
            let error = anyhow!("{index}.png: is no picture");
            assert_eq!(reader.take::<()>(file(index), Err(error)).unwrap(), None);
        }
        let skips = reader.end(1).unwrap();
        assert_eq!((skips.skipped_images, skips.skipped.len()), (150, NAMED));
        assert_eq!(skips.skipped[0].reason, "is no picture");
        let json = serde_json::to_value(&skips).unwrap();
        assert_eq!(json["skipped"][0]["file"], "1.png");
        assert_eq!(skips.clone().and(skips).skipped_images, 300);
    }

    #[test]
    fn nothing_readable_and_strictness_are_errors() {
        let name = || ImageName::File("x.png".into());
        let mut strict = reader(true);
        let refused = strict.take::<()>(name(), Err(anyhow!("x.png: bad")));
        assert_eq!(refused.unwrap_err().to_string(), "x.png: bad");
        let mut lenient = reader(false);
        lenient.take::<()>(name(), Err(anyhow!("bad"))).unwrap();
        let error = lenient.end(0).unwrap_err().to_string();
        assert!(error.contains("of 1 the first is x.png: bad"), "{error}");
        // No picture at all is not for this to say.
        reader(false).end(0).unwrap();
    }
}
