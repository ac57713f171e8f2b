//! Classes that are taught by showing: examples of live frames, a head of them that replaces the model's own, and the file
//! that keeps them.

pub(crate) mod action;
pub(crate) mod client;
pub(crate) mod control;
mod recognised;
pub(crate) mod request;
pub(crate) mod showing;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use igpt_heads::{Added, Binding, Examples, Layer, NONE, Taught, Undone, file};
use igpt_runtime::tools::counted;
use igpt_runtime::tools::with_head::{NewHead, with_head};
use igpt_runtime::{AutoFeatureSession, AutoModel, Features, StabilizerOptions};
use serde_json::{Map, Value, json};

use crate::source::FrameBuffer;
use request::Request;

pub use recognised::Recognised;

/// Most layers that features are kept of.
const LAYERS: usize = 8;
/// As the source gives its pictures.
const UPRIGHT: u8 = 1;

/// What was taught, and what it was taught with.
pub(crate) struct Teacher {
    model: AutoModel,
    /// The model file, whose bytes an export begins with; none of the one inside the program.
    bytes: ModelBytes,
    file: PathBuf,
    /// The checksum at the end of the file as it was read or written last.
    stamp: Option<[u8; 4]>,
    binding: Binding,
    /// The layer to use until another is better.
    usual: usize,
    examples: Examples,
    head: Option<Taught>,
    labels: Vec<String>,
    stabilizer: Option<StabilizerOptions>,
    /// Takes the features of every layer, for examples.
    every: Option<AutoFeatureSession>,
    /// Takes those of the head's layer, for verdicts.
    live: Option<(usize, AutoFeatureSession)>,
}

/// Where the bytes of a model file are.
#[derive(Debug, Clone)]
pub(crate) enum ModelBytes {
    /// In a file.
    File(PathBuf),
    /// In the program.
    Embedded(&'static [u8]),
}

/// What a picture looks like to a model.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// Its tokens.
    Tokens(&'a [u16]),
    /// A picture of a model without tokens.
    Picture(&'a FrameBuffer),
}

/// The layers that features are kept of, and the usual one.
fn layers(model: &AutoModel) -> (Vec<Layer>, usize) {
    let last = *model.layers().end();
    let numbers: Vec<usize> = if last <= LAYERS {
        (1..=last).collect()
    } else {
        let first = last / 4;
        let step = |i: usize| first + (last - first) * i / (LAYERS - 1);
        (0..LAYERS).map(step).collect()
    };
    // The last stage of a SegFormer; of an ImageGPT, whose last blocks are busy with the next colour, one past the middle.
    let wanted = match model {
        AutoModel::ImageGpt(_) => (2 * last).div_ceil(3),
        _ => last,
    };
    let usual = numbers.iter().copied();
    let usual = usual.min_by_key(|number| number.abs_diff(wanted));
    let layer = |number: usize| {
        let width = model.width(number)?;
        Some(Layer { number, width })
    };
    let kept = numbers.into_iter().filter_map(layer).collect();
    (kept, usual.unwrap_or(last))
}

impl Teacher {
    /// Reads the file if there is one, and trains a head of what it has.
    ///
    /// # Errors
    /// A file that cannot be read or belongs to something else.
    pub(crate) fn open(
        model: AutoModel,
        (name, crc32): (&str, u32),
        preprocessing: String,
        bytes: ModelBytes,
        file: PathBuf,
    ) -> anyhow::Result<Self> {
        let (layers, usual) = layers(&model);
        let binding = Binding {
            model: name.to_owned(),
            model_crc32: format!("{crc32:08x}"),
            layers: layers.clone(),
            preprocessing,
            orientation: UPRIGHT,
        };
        let at = || file.display().to_string();
        let examples = match file::load(&file).with_context(at)? {
            None => Examples::new(layers),
            Some((found, examples)) => {
                found.check(&binding).map_err(|error| {
                    anyhow!(
                        "{}: {error}; teach again into another file (--taught FILE), or run without (--taught off)",
                        at()
                    )
                })?;
                examples
            }
        };
        let head = Taught::train(&examples, usual).with_context(at)?;
        let mut teacher = Self {
            model,
            bytes,
            stamp: stamp(&file),
            file,
            binding,
            usual,
            examples,
            head: None,
            labels: Vec::new(),
            stabilizer: None,
            every: None,
            live: None,
        };
        teacher.adopt(head);
        Ok(teacher)
    }

    /// Whether there is anything to recognise.
    pub(crate) fn is_trained(&self) -> bool {
        self.head.is_some()
    }

    /// The classes, and last what is none of them.
    pub(crate) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Keeps the tokens of verdicts from flickering, or not.
    pub(crate) fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.stabilizer = options;
        // It begins afresh.
        self.live = None;
    }

    /// The tokens of a picture as verdicts see them; nothing of a model that has none.
    pub(crate) fn tokens_into(
        &mut self,
        frame: &FrameBuffer,
        tokens: &mut Vec<u16>,
    ) -> anyhow::Result<()> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        if let AutoFeatureSession::ImageGpt(session) = self.live()? {
            session.tokens_into(&frame.rgb, width, height, tokens)?;
        }
        Ok(())
    }

    /// What the head says.
    ///
    /// # Errors
    /// As the model.
    pub(crate) fn recognise(&mut self, seen: Seen<'_>) -> anyhow::Result<(Recognised, Features)> {
        let features = take(self.live()?, seen)?;
        let head = self.head.as_ref().context("nothing was taught")?;
        let layer = features.layers.first().map_or(&[][..], Vec::as_slice);
        let said = head.recognise(layer);
        let label = head.labels().get(said.class).cloned();
        let recognised = Recognised {
            label: label.unwrap_or_default(),
            score: said.score,
            distance: said.distance,
            limit: said.limit,
            none: said.none,
            probabilities: said.probabilities,
        };
        Ok((recognised, features))
    }

    /// Begins a showing.
    ///
    /// # Errors
    /// A label that cannot be one, too many of them.
    pub(crate) fn begin(&mut self, label: Option<&str>) -> anyhow::Result<u64> {
        Ok(self.examples.begin(label)?)
    }

    /// Adds a picture of a showing, trains, and keeps it.
    ///
    /// # Errors
    /// As the model; a file that cannot be written: then the picture is no example.
    pub(crate) fn show(
        &mut self,
        showing: u64,
        label: Option<&str>,
        seen: Seen<'_>,
    ) -> anyhow::Result<Added> {
        if self.every.is_none() {
            let numbers = self.binding.layers.iter().map(|layer| layer.number);
            let numbers: Vec<usize> = numbers.collect();
            self.every = Some(self.model.feature_session(&numbers)?);
        }
        let every = self.every.as_mut().context("no session")?;
        let features = take(every, seen)?;
        let features: Vec<&[f32]> = features.layers.iter().map(Vec::as_slice).collect();
        self.change(|examples| Ok(examples.add(showing, label, &features)?))
    }

    /// Takes back the last showing, or the last thing that was forgotten. In words.
    ///
    /// # Errors
    /// Nothing to take back, a file that cannot be written.
    pub(crate) fn undo(&mut self) -> anyhow::Result<String> {
        let name = |label: Option<String>| label.unwrap_or_else(|| NONE.to_owned());
        self.change(|examples| match examples.undo() {
            Some(Undone::Taught { label, examples }) => Ok(format!(
                "{} of {:?} taken back",
                counted(examples, "example"),
                name(label)
            )),
            Some(Undone::Forgotten { label, examples }) => Ok(format!(
                "{:?} is remembered again, with {}",
                name(label),
                counted(examples, "example")
            )),
            _ => bail!("there is nothing to undo"),
        })
    }

    /// Forgets a class, or what is none of them. In words.
    ///
    /// # Errors
    /// A class that was not taught, a file that cannot be written.
    pub(crate) fn forget(&mut self, label: Option<&str>) -> anyhow::Result<String> {
        let count = self.change(|examples| Ok(examples.forget(label)?))?;
        let name = label.unwrap_or(NONE);
        Ok(format!(
            "{name:?} is forgotten, {}; undo brings it back",
            counted(count, "example")
        ))
    }

    /// Writes a model file of the taught classes. In words.
    ///
    /// # Errors
    /// Nothing taught, a model that cannot be cut, an output that cannot be written or is an input.
    pub(crate) fn export(&self, to: &Path) -> anyhow::Result<String> {
        let at = || to.display().to_string();
        let head = self
            .head
            .as_ref()
            .context("nothing was taught: there is no head to export")?;
        let same = |path: &Path| {
            let [one, other] = [path, to].map(fs::canonicalize);
            one.is_ok_and(|one| other.is_ok_and(|other| one == other))
        };
        let bytes = match &self.bytes {
            ModelBytes::Embedded(bytes) => bytes.to_vec(),
            ModelBytes::File(path) => {
                if same(path) {
                    bail!(
                        "{}: is the model itself, which would be lost; name another file",
                        at()
                    );
                }
                fs::read(path).with_context(|| path.display().to_string())?
            }
        };
        if same(&self.file) {
            bail!(
                "{}: is the file of what was taught, which would be lost; name another",
                at()
            );
        }
        let linear = head.linear();
        let layer = head.layer().number;
        let new = NewHead {
            layer,
            weight: &linear.weight,
            bias: &linear.bias,
            labels: head.labels(),
            accuracy: head.assessment().accuracy,
        };
        let bytes =
            with_head(&bytes, &new).map_err(|error| anyhow!("{}: {error}", self.binding.model))?;
        file::save(to, &bytes).with_context(at)?;
        Ok(format!(
            "{}: {} at layer {layer}, {} bytes; without \"{NONE}\", which a model file cannot say",
            at(),
            counted(head.labels().len(), "class"),
            bytes.len()
        ))
    }

    /// Does what is asked for, but for showing, and answers. `model` is what runs, `busy` what is being shown.
    ///
    /// # Errors
    /// What cannot be done.
    pub(crate) fn obey(
        &mut self,
        request: &Request,
        model: &str,
        busy: Option<&str>,
    ) -> anyhow::Result<Value> {
        let said = match request {
            Request::Teach { .. } => bail!("frames are needed to teach"),
            Request::List {} => String::new(),
            Request::Undo {} => self.undo()?,
            Request::Forget { label, .. } => self.forget(label.as_deref())?,
            Request::Export { file } => self.export(file)?,
            Request::Status {} => {
                let mut answer = self.answer("");
                answer["model"] = json!(format!("{model} ({})", self.binding.model_crc32));
                answer["teaching"] = json!(busy);
                return Ok(answer);
            }
        };
        Ok(self.answer(&said))
    }

    /// The answer to what was done, in these words.
    pub(crate) fn answer(&self, said: &str) -> Value {
        let mut answer = self.report();
        answer.insert("event".into(), json!("done"));
        if !said.is_empty() {
            answer.insert("said".into(), json!(said));
        }
        Value::Object(answer)
    }

    /// What was taught, and how well it is told apart: the fields of docs/teaching.md.
    pub(crate) fn report(&self) -> Map<String, Value> {
        let head = self.head.as_ref();
        let assessment = head.map(Taught::assessment);
        let gate = head.and_then(Taught::gate);
        let report = json!({
            "file": self.file,
            "classes": self.examples.classes(),
            "none": self.examples.negatives(),
            "layer": head.map(|head| head.layer().number),
            "method": head.map(Taught::method),
            "accuracy": assessment.and_then(|assessment| assessment.accuracy),
            "of": assessment.map(|assessment| assessment.of),
            "counted": assessment.map(|assessment| assessment.counted),
            "suspects": assessment.map_or(&[][..], |assessment| &assessment.suspects),
            "limit": gate.map(igpt_heads::Gate::limit),
            "calibration": gate.map(igpt_heads::Gate::calibration),
        });
        match report {
            Value::Object(report) => report,
            _ => Map::new(),
        }
    }

    /// Changes the examples, trains on them and keeps them, or leaves everything as it was.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Examples) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut examples = self.examples.clone();
        let changed = change(&mut examples)?;
        let head = Taught::train(&examples, self.usual)?;
        let at = || self.file.display().to_string();
        if stamp(&self.file) != self.stamp {
            bail!(
                "{}: another program has changed it since it was read; start this one again, or teach through --control",
                at()
            );
        }
        let bytes = file::encode(&self.binding, &examples);
        file::save(&self.file, &bytes).with_context(at)?;
        self.stamp = stamp(&self.file);
        self.examples = examples;
        self.adopt(head);
        Ok(changed)
    }

    /// Takes a head in place of the one before.
    fn adopt(&mut self, head: Option<Taught>) {
        self.labels = head
            .iter()
            .flat_map(|head| head.labels())
            .cloned()
            .collect();
        self.labels.push(NONE.to_owned());
        self.head = head;
    }

    /// The session of the head's layer.
    fn live(&mut self) -> anyhow::Result<&mut AutoFeatureSession> {
        let layer = self
            .head
            .as_ref()
            .map_or(self.usual, |head| head.layer().number);
        let fits = self.live.as_ref().is_some_and(|(of, _)| *of == layer);
        if !fits {
            let mut session = self.model.feature_session(&[layer])?;
            if let AutoFeatureSession::ImageGpt(session) = &mut session {
                session.stabilize(self.stabilizer);
            }
            self.live = Some((layer, session));
        }
        let live = self.live.as_mut().map(|(_, session)| session);
        live.context("no session")
    }
}

/// The features of what was seen.
fn take(session: &mut AutoFeatureSession, seen: Seen<'_>) -> anyhow::Result<Features> {
    Ok(match (session, seen) {
        (AutoFeatureSession::ImageGpt(session), Seen::Tokens(tokens)) => {
            session.features(tokens)?
        }
        (session, Seen::Picture(frame)) => {
            session.features_rgb8(&frame.rgb, frame.width as usize, frame.height as usize)?
        }
        _ => bail!("tokens for a model that takes none"),
    })
}

/// The checksum at the end of a file, if it is there.
fn stamp(path: &Path) -> Option<[u8; 4]> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(path).ok()?;
    file.seek(SeekFrom::End(-4)).ok()?;
    let mut stamp = [0; 4];
    file.read_exact(&mut stamp).ok()?;
    Some(stamp)
}
