//! A hub on loopback: the paths, headers and redirections of the real one, and its misfortunes on request.

pub(crate) mod user;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What every revision that exists is.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    port: u16,
    requests: Vec<String>,
    ranges: Vec<String>,
    bodies: usize,
    token_seen_by_storage: bool,
    token: Option<String>,
    breaks: VecDeque<usize>,
    damaged: Option<String>,
    etag: Option<String>,
    questions: Option<String>,
    ignores_ranges: bool,
    listing: Option<String>,
    refusal: Option<String>,
    locations: Locations,
    accepted: BTreeSet<String>,
}

/// How redirections within the hub are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Locations {
    /// `/resolve-cache/FILE`, as the real hub does.
    #[default]
    Rooted,
    /// `http://HOST/resolve-cache/FILE`.
    Absolute,
    /// `//HOST/resolve-cache/FILE`.
    ProtocolRelative,
    /// `../../../../resolve-cache/FILE`.
    Relative,
    /// `FILE?again=1`, which leads to the same place with a question.
    Sibling,
}

/// A hub with one model, `some/model`; it lives as long as the test's process.
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
}

struct Request {
    line: String,
    range: Option<String>,
    authorization: Option<String>,
    host: String,
}

impl Request {
    /// Whether it wants to know what a file is: who asks for its first byte is after the headers.
    fn is_question(&self) -> bool {
        self.range.as_deref() == Some("bytes=0-0")
    }
}

impl Hub {
    pub(crate) fn start(checkpoint: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let files = fs::read_dir(checkpoint).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        let state = Arc::new(Mutex::new(State {
            files: files.collect(),
            port: listener.local_addr().unwrap().port(),
            ..State::default()
        }));
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                let answer = served.lock().unwrap().answer(&request);
                // Someone who hangs up is the other side's test.
                let _ = stream.write_all(&answer);
            }
        });
        Self { state }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(crate) fn endpoint(&self) -> String {
        self.with(|state| format!("http://127.0.0.1:{}", state.port))
    }

    /// Request lines so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    /// Range headers so far, but for those of questions.
    pub(crate) fn ranges(&self) -> Vec<String> {
        self.with(|state| state.ranges.clone())
    }

    /// Files sent so far, whole or in part.
    pub(crate) fn bodies(&self) -> usize {
        self.with(|state| state.bodies)
    }

    pub(crate) fn hash(&self, file: &str) -> String {
        self.with(|state| hash(file, &state.files[file]))
    }

    pub(crate) fn want_token(&self, token: &str) {
        self.with(|state| state.token = Some(token.to_owned()));
    }

    pub(crate) fn storage_saw_no_token(&self) -> bool {
        self.with(|state| !state.token_seen_by_storage)
    }

    /// The next answers of the storage end after so many bytes.
    pub(crate) fn break_off_after(&self, bytes: &[usize]) {
        self.with(|state| state.breaks = bytes.iter().copied().collect());
    }

    /// One bit of this file is sent wrong.
    pub(crate) fn damage(&self, file: &str) {
        self.with(|state| state.damaged = Some(file.to_owned()));
    }

    pub(crate) fn lie_about_etag(&self, etag: &str) {
        self.with(|state| state.etag = Some(etag.to_owned()));
    }

    /// Whoever asks what a file is hears this.
    pub(crate) fn answer_questions_with(&self, answer: &str) {
        self.with(|state| state.questions = Some(answer.to_owned()));
    }

    /// Whoever asks anything of the hub hears this status, with these headers.
    pub(crate) fn refuse(&self, status: &str, headers: &str) {
        let answer = short(status, headers, "{}");
        let answer = String::from_utf8(answer).unwrap();
        self.with(|state| state.refusal = Some(answer));
    }

    pub(crate) fn redirect_by(&self, locations: Locations) {
        self.with(|state| state.locations = locations);
    }

    /// The tokens that came with any request, or "none".
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.with(|state| state.accepted.iter().cloned().collect())
    }

    pub(crate) fn list_as(&self, listing: &str) {
        self.with(|state| state.listing = Some(listing.to_owned()));
    }

    /// Whoever asks for the end of a file gets all of it, as HTTP allows.
    pub(crate) fn ignore_ranges(&self) {
        self.with(|state| state.ignores_ranges = true);
    }

    /// Ends damage and lies.
    pub(crate) fn heal(&self) {
        self.with(|state| {
            (state.damaged, state.etag, state.questions) = (None, None, None);
            (state.listing, state.refusal) = (None, None);
        });
    }
}

/// Large files are known by SHA-256, small ones as git knows them.
fn hash(file: &str, bytes: &[u8]) -> String {
    let hex = |digest: &[u8]| -> String {
        let digits = digest.iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    };
    if is_large(file) {
        return hex(&Sha256::digest(bytes));
    }
    let mut blob = format!("blob {}\0", bytes.len()).into_bytes();
    blob.extend(bytes);
    hex(&Sha1::digest(blob))
}

fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin")
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let mut request = Request {
        line: lines.next()?.ok()?,
        range: None,
        authorization: None,
        host: String::new(),
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            "host" => request.host = value.to_owned(),
            _ => {}
        }
    }
    Some(request)
}

fn short(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl State {
    fn answer(&mut self, request: &Request) -> Vec<u8> {
        self.requests.push(request.line.clone());
        let mut words = request.line.split(' ');
        let path = words.nth(1).unwrap_or_default();
        if let Some(file) = path.strip_prefix("/storage/") {
            self.token_seen_by_storage |= request.authorization.is_some();
            assert!(
                request.host.starts_with("localhost"),
                "another host than the hub's"
            );
            return self.send(file, request, "");
        }
        let token = request.authorization.clone();
        self.accepted.insert(token.unwrap_or("none".to_owned()));
        if let Some(answer) = &self.refusal {
            return answer.clone().into_bytes();
        }
        let expected = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if expected.is_some() && expected != request.authorization {
            return short("401 Unauthorized", "", "{}");
        }
        if let Some(revision) = path.strip_prefix("/api/models/some/model/revision/") {
            return match revision {
                "main" | "v1%2Fbeta" => short("200 OK", "", &self.list()),
                _ => short("404 Not Found", "", "{}"),
            };
        }
        let questions = self.questions.as_ref();
        if let Some(answer) = questions.filter(|_| request.is_question()) {
            return answer.clone().into_bytes();
        }
        // A small file is served by the hub itself, from a path that it leads to.
        let resolve = format!("/some/model/resolve/{COMMIT}/");
        let sibling = path.strip_suffix("?again=1");
        let sibling = sibling.and_then(|path| path.strip_prefix(&resolve));
        if let Some(file) = path.strip_prefix("/resolve-cache/").or(sibling) {
            let tag = hash(file, &self.files[file]);
            let tag = self.etag.clone().unwrap_or(format!("W/\"{tag}\""));
            let headers = format!("ETag: {tag}\r\nX-Repo-Commit: {COMMIT}\r\n");
            return self.send(file, request, &headers);
        }
        match path
            .strip_prefix(&resolve)
            .filter(|file| self.files.contains_key(*file))
        {
            None => short("404 Not Found", "", "{}"),
            Some(file) if is_large(file) => {
                let bytes = &self.files[file];
                let (port, tag, size) = (self.port, hash(file, bytes), bytes.len());
                let headers = format!(
                    "Location: http://localhost:{port}/storage/{file}\r\nX-Repo-Commit: {COMMIT}\r\n\
                     X-Linked-Etag: \"{tag}\"\r\nX-Linked-Size: {size}\r\nETag: \"x\"\r\n"
                );
                short("302 Found", &headers, "")
            }
            Some(file) => {
                let location = self.location(file);
                let headers = format!("Location: {location}\r\n");
                short("307 Temporary Redirect", &headers, "")
            }
        }
    }

    fn location(&self, file: &str) -> String {
        let (port, path) = (self.port, format!("/resolve-cache/{file}"));
        match self.locations {
            Locations::Rooted => path,
            Locations::Absolute => format!("http://127.0.0.1:{port}{path}"),
            Locations::ProtocolRelative => format!("//127.0.0.1:{port}{path}"),
            // From /some/model/resolve/COMMIT/FILE.
            Locations::Relative => format!("../../../..{path}"),
            Locations::Sibling => format!("{file}?again=1"),
        }
    }

    fn list(&self) -> String {
        let files = self
            .files
            .keys()
            .map(|file| format!(r#"{{"rfilename":"{file}"}}"#));
        let files = files.collect::<Vec<_>>().join(",");
        let listing = format!(r#"{{"id":"some/model","sha":"{COMMIT}","siblings":[{files}]}}"#);
        self.listing.clone().unwrap_or(listing)
    }

    fn send(&mut self, file: &str, request: &Request, headers: &str) -> Vec<u8> {
        if request.is_question() {
            let whole = self.files[file].len();
            let headers = format!("{headers}Content-Range: bytes 0-0/{whole}\r\n");
            return short("206 Partial Content", &headers, "{");
        }
        let range = request.range.as_deref();
        self.bodies += 1;
        let mut bytes = self.files[file].clone();
        if self.damaged.as_deref() == Some(file) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        let start = range.map_or(0, |range| {
            self.ranges.push(range.to_owned());
            let start = range
                .strip_prefix("bytes=")
                .unwrap()
                .strip_suffix('-')
                .unwrap();
            start.parse::<usize>().unwrap()
        });
        if start >= bytes.len() && !self.ignores_ranges {
            return short("416 Range Not Satisfiable", "", "");
        }
        let (start, range) = match self.ignores_ranges {
            true => (0, None),
            false => (start, range),
        };
        let (status, range) = match range {
            None => ("200 OK", String::new()),
            Some(_) => {
                let (last, whole) = (bytes.len() - 1, bytes.len());
                let range = format!("Content-Range: bytes {start}-{last}/{whole}\r\n");
                ("206 Partial Content", range)
            }
        };
        let rest = &bytes[start..];
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}{range}Content-Length: {}\r\n\r\n",
            rest.len()
        )
        .into_bytes();
        let breaks = if is_large(file) {
            self.breaks.pop_front()
        } else {
            None
        };
        answer.extend(&rest[..breaks.unwrap_or(rest.len())]);
        answer
    }
}
