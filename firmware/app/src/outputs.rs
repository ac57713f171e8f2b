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
    /// Whether it is a file that nobody takes for a picture.
    is_no_picture: bool,
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
        let Output {
            name, path, place, ..
        } = output;
        if let Some(folder) = folders
            .iter()
            .find(|folder| !output.is_no_picture && place.starts_with(folder))
        {
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
    let taught = settings
        .taught
        .iter()
        .map(|file| ("taught", file.as_path()));
    let events = settings
        .events
        .iter()
        .map(|file| ("events", Path::new(file)));
    let events = events.filter(|(_, path)| *path != Path::new("-"));
    let log = match &settings.log {
        LogTarget::DefmtFile(path) => Some(("log", path.as_path())),
        LogTarget::Text | LogTarget::DefmtStdout | LogTarget::None => None,
    };
    let files = events.chain(taught).chain(log);
    let all = sinks.chain(record).chain(state).chain(files);
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
            is_no_picture: option == "taught" || option == "events",
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
mod tests;
