//! What is an input is never an output: an output that would change an input, or be one the next time, is
//! refused by name before anything is written.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use anyhow::bail;
use igpt_runtime::tools::image_files::ImageFiles;

use super::log::LogTarget;
use super::settings::Settings;

/// Links that may lead to links before a path counts as a circle.
const MAX_LINKS: u32 = 40;

/// Something that will be written.
struct Output<'a> {
    /// As it was asked for: `--sink out`.
    name: String,
    path: &'a Path,
    /// Without links; of what is not there yet, where it will be.
    place: PathBuf,
}

/// Checks every output against every input, and against the other outputs.
///
/// # Errors
/// The first that must not be, by name.
pub(super) fn check(settings: &Settings) -> anyhow::Result<()> {
    let outputs = outputs(settings);
    let folders = source_folders(settings, &outputs);
    let files = input_files(settings);
    for output in &outputs {
        let Output { name, path, place } = output;
        if let Some(folder) = folders.iter().find(|folder| place.starts_with(folder)) {
            bail!(
                "{name}: lies in {}, whose pictures {} reads: they would be joined by what is written; \
                 name a directory outside of it",
                folder.display(),
                settings.origin.setting("source", &settings.source)
            );
        }
        // Its place, not its name: `new/../file` is that file as soon as the folder `new` is made.
        let Ok(found) = fs::metadata(place) else {
            continue;
        };
        if let Some((input, _)) = files
            .iter()
            .find(|(_, file)| found.is_file() && same(file, &found))
        {
            bail!("{name}: is {input}, which would be lost; name another file");
        }
        for (input, file) in files.iter().filter(|_| found.is_dir()) {
            let inside = |entry: io::Result<fs::DirEntry>| {
                entry
                    .and_then(|entry| fs::metadata(entry.path()))
                    .is_ok_and(|entry| same(&entry, file))
            };
            // Its frames are named like those of another recording, which may be what is read.
            let record = settings.record.as_deref() == Some(*path);
            if record && fs::read_dir(place).is_ok_and(|mut entries| entries.any(inside)) {
                bail!("{name}: holds {input}, which could be written over; name another directory");
            }
        }
    }
    among_themselves(settings, &outputs)
}

/// Two outputs must not write into one another.
fn among_themselves(settings: &Settings, outputs: &[Output<'_>]) -> anyhow::Result<()> {
    let record = settings.record.as_deref();
    for (index, one) in outputs.iter().enumerate() {
        for other in outputs.iter().skip(index + 1) {
            if one.place == other.place {
                bail!(
                    "{}: is also {}; name a place for each",
                    one.name,
                    other.name
                );
            }
        }
        let recorded = outputs.iter().find(|other| Some(other.path) == record);
        if let Some(recorded) =
            recorded.filter(|other| one.place != other.place && one.place.starts_with(&other.place))
        {
            bail!(
                "{}: lies in {}, which is a source of pictures for others; name a directory outside of it",
                one.name,
                recorded.name
            );
        }
    }
    Ok(())
}

fn outputs(settings: &Settings) -> Vec<Output<'_>> {
    let sinks = settings.sinks.iter().map(|sink| ("sink", Path::new(sink)));
    let record = settings.record.iter().map(|dir| ("record", dir.as_path()));
    let state = settings
        .state_dir
        .iter()
        .map(|dir| ("state-dir", dir.as_path()));
    let log = match &settings.log {
        LogTarget::DefmtFile(path) => Some(("log", path.as_path())),
        LogTarget::Text | LogTarget::DefmtStdout | LogTarget::None => None,
    };
    let all = sinks.chain(record).chain(state).chain(log);
    // A device, such as a screen or /dev/null, may be written by several and holds no pictures.
    let to_keep =
        |path: &Path| fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir());
    all.filter(|(_, path)| !path.as_os_str().is_empty() && to_keep(path))
        .map(|(option, path)| Output {
            name: match option {
                "log" => settings
                    .origin
                    .setting(option, format!("defmt:{}", path.display())),
                _ => settings.origin.setting(option, path.display()),
            },
            path,
            place: place_of(path, 0),
        })
        .collect()
}

/// The folders whose pictures are the source, without links. Without outputs nobody asks.
fn source_folders(settings: &Settings, outputs: &[Output<'_>]) -> Vec<PathBuf> {
    let path = Path::new(&settings.source);
    if outputs.is_empty() || !path.is_dir() {
        return Vec::new();
    }
    // One that cannot be read is reported when it is opened.
    ImageFiles::in_folder(path).map_or_else(|_| Vec::new(), |found| found.folders)
}

/// The single files that are read.
fn input_files(settings: &Settings) -> Vec<(String, Metadata)> {
    let mut files = Vec::new();
    let named = [
        ("source", Some(Path::new(&settings.source))),
        ("model", settings.model.as_deref()),
        ("config", settings.origin.file().map(PathBuf::as_path)),
    ];
    for (option, path) in named {
        if let Some(path) = path
            && let Ok(found) = fs::metadata(path)
        {
            files.push((
                format!(
                    "the input {}",
                    settings.origin.setting(option, path.display())
                ),
                found,
            ));
        }
    }
    if settings.source == "-"
        && let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned()
        && let Ok(found) = fs::File::from(stdin).metadata()
    {
        let source = settings.origin.setting("source", "-");
        files.push((format!("the input {source} (standard input)"), found));
    }
    files.retain(|(_, found)| found.is_file());
    files
}

/// Whether two names are of one file, through links of either kind.
fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Where a path leads, also if its end is not there yet.
fn place_of(path: &Path, links: u32) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in whole.ancestors() {
        let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
        if let Ok(found) = fs::canonicalize(there) {
            return join(found, rest);
        }
        // A link to nothing: what is written goes to where it points.
        if let Ok(target) = fs::read_link(there)
            && links < MAX_LINKS
        {
            let folder = there.parent().unwrap_or(Path::new("/"));
            return place_of(&folder.join(target).join(rest), links + 1);
        }
    }
    whole
}

/// `rest` is not there, so nothing in it is a link and `..` is the folder before.
fn join(mut place: PathBuf, rest: &Path) -> PathBuf {
    for part in rest.components() {
        match part {
            Component::ParentDir => {
                place.pop();
            }
            Component::CurDir => {}
            part => place.push(part),
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::options::Options;
    use crate::settings::Settings;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    struct Place(tempfile::TempDir);

    impl Place {
        /// photos/cat/a.png, photos/linked -> elsewhere/b.png, film.y4m, m.onnx.
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for folder in ["photos/cat", "elsewhere", "out"] {
                fs::create_dir_all(place.at(folder)).unwrap();
            }
            for file in ["photos/cat/a.png", "elsewhere/b.png", "film.y4m", "m.onnx"] {
                fs::write(place.at(file), "x").unwrap();
            }
            symlink(place.at("elsewhere"), place.at("photos/linked")).unwrap();
            symlink(place.at("photos"), place.at("alias")).unwrap();
            symlink(place.at("photos/new"), place.at("dangling")).unwrap();
            place
        }

        fn at(&self, name: &str) -> String {
            self.0.path().join(name).to_str().unwrap().to_owned()
        }

        fn refusal(&self, change: impl FnOnce(&mut Options)) -> Option<String> {
            let mut options = Options {
                source: Some(self.at("photos")),
                sink: Some(vec!["none".into()]),
                ..Options::default()
            };
            change(&mut options);
            let settings = Settings::new(options, None).unwrap();
            check(&settings).err().map(|error| error.to_string())
        }
    }

    #[test]
    fn nothing_is_written_among_the_pictures_that_are_read() {
        let place = Place::new();
        let sinks = [
            "photos",
            "photos/",
            "alias",
            "photos/cat",
            "photos/new",
            "photos/new/deep",
            "elsewhere",
            "elsewhere/x",
            "photos/linked/x",
            "alias/cat/x",
            "gone/../photos",
            "dangling",
            "out/../photos/cat",
        ];
        for sink in sinks {
            let message = place.refusal(|o| o.sink = Some(vec![place.at(sink)]));
            let message = message.unwrap_or_else(|| panic!("{sink} is not refused"));
            assert!(
                message.contains(&format!("--sink {}", place.at(sink))),
                "{message}"
            );
        }
        for record in ["photos/cat", "elsewhere/run"] {
            let message = place.refusal(|o| o.record = Some(place.at(record).into()));
            assert!(message.expect(record).contains("--record"));
        }
        let log = place.refusal(|o| o.log = Some(format!("defmt:{}", place.at("photos/log"))));
        assert!(log.expect("log").contains("--log defmt:"));
        let state = place.refusal(|o| o.state_dir = Some(place.at("photos/state").into()));
        assert!(state.expect("state").contains("--state-dir"));
    }

    #[test]
    fn what_lies_elsewhere_is_fine() {
        let place = Place::new();
        assert_eq!(
            place.refusal(|o| o.sink = Some(vec![place.at("out")])),
            None
        );
        assert_eq!(
            place.refusal(|o| o.sink = Some(vec![place.at("photos2/x")])),
            None
        );
        assert_eq!(
            place.refusal(|o| o.sink = Some(vec!["/dev/null".into(), "/dev/null".into()])),
            None
        );
        assert_eq!(place.refusal(|o| o.source = Some("sample".into())), None);
        // The picture is read, what lies beside it is not.
        let single = place.refusal(|o| {
            o.source = Some(place.at("photos/cat/a.png"));
            o.sink = Some(vec![place.at("photos/cat")]);
        });
        assert_eq!(single, None);
    }

    #[test]
    fn no_log_is_written_over_an_input() {
        let place = Place::new();
        fs::hard_link(place.at("film.y4m"), place.at("same.y4m")).unwrap();
        for (log, input) in [
            ("film.y4m", "--source"),
            ("same.y4m", "--source"),
            ("m.onnx", "--model"),
            ("gone/../film.y4m", "--source"),
            ("photos/gone/../../m.onnx", "--model"),
        ] {
            let message = place.refusal(|o| {
                o.source = Some(place.at("film.y4m"));
                o.model = Some(place.at("m.onnx").into());
                o.log = Some(format!("defmt:{}", place.at(log)));
            });
            assert!(message.expect(log).contains(input));
        }
        assert!(Path::new(&place.at("film.y4m")).exists());
    }

    #[test]
    fn outputs_keep_apart() {
        let place = Place::new();
        let run = || Some(place.at("run").into());
        for sink in ["run", "run/overlay"] {
            let message = place.refusal(|o| {
                o.record = run();
                o.sink = Some(vec![place.at(sink)]);
            });
            assert!(message.expect(sink).contains("--record"), "{sink}");
        }
        let twice =
            place.refusal(|o| o.sink = Some(vec![place.at("out"), place.at("alias/../out")]));
        assert!(twice.expect("twice").contains("is also"));
        let over = place.refusal(|o| {
            o.source = Some(place.at("elsewhere/b.png"));
            o.record = Some(place.at("elsewhere").into());
        });
        assert!(over.expect("record").contains("holds"));
        let over = place.refusal(|o| {
            o.source = Some(place.at("elsewhere/b.png"));
            o.record = Some(place.at("gone/../elsewhere").into());
        });
        assert!(over.expect("record").contains("holds"));
    }
}
