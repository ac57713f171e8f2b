//! The control socket: whoever may open it asks in lines of JSON, and the main loop answers between two frames.
//!
//! A connection has a thread, which waits; the main loop never does, whatever a client does or leaves undone.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;
use serde_json::Value;

use super::request::Request;
use super::showing::failed;
use crate::bell::Shared;

/// Connections at a time.
const MOST: usize = 8;
/// Bytes of a request.
const LONGEST: u64 = 1 << 16;
/// How long a client may take to ask, or to read an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, and where its answers go.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answers: Sender<Value>,
}

/// The socket; it goes with this.
pub(crate) struct Control {
    path: PathBuf,
    /// Device and inode: another program's socket of that name stays.
    id: Option<(u64, u64)>,
    pub(crate) asked: Receiver<Asked>,
}

impl Control {
    /// Listens at `path`, which only this user and root may open. What another program left there is replaced.
    ///
    /// # Errors
    /// Something else is there, another program listens there, or the system says no.
    pub(crate) fn listen(path: &Path, shared: &Arc<Shared>) -> io::Result<Self> {
        clear(path)?;
        // Before anybody can open it: changing it afterwards would leave a moment.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound?;
        let (sender, asked) = channel();
        let shared = Arc::clone(shared);
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &sender, &shared))?;
        Ok(Self {
            path: path.to_owned(),
            id: id(path),
            asked,
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if self.id.is_some() && id(&self.path) == self.id {
            // What is left would be replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Removes a socket that nobody listens at any more.
fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let what = "is there and is no socket; name another place";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another program listens there; end it, or name another place",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn accept(listener: &UnixListener, asked: &Sender<Asked>, shared: &Arc<Shared>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No descriptors left, say: others may close theirs.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let (asked, shared, open) = (asked.clone(), Arc::clone(shared), Arc::clone(&open));
        if open.fetch_add(1, Ordering::AcqRel) >= MOST {
            open.fetch_sub(1, Ordering::AcqRel);
            let _ = answer(&stream, &failed("too many connections; try again later"));
            continue;
        }
        let count = Arc::clone(&open);
        let spawned = thread::Builder::new()
            .name("control client".to_owned())
            .spawn(move || {
                // A client that goes away has what it wanted.
                let _ = serve(&stream, &asked, &shared);
                count.fetch_sub(1, Ordering::AcqRel);
            });
        if spawned.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(stream: &UnixStream, asked: &Sender<Asked>, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") && read as u64 == LONGEST {
            return answer(
                stream,
                &failed("a request is a line of 65536 bytes at most"),
            );
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let request = match Request::read(text.trim()) {
            Ok(request) => request,
            Err(error) => {
                answer(stream, &failed(&error))?;
                continue;
            }
        };
        let (answers, coming) = channel();
        let gone = || failed("the camera app is ending");
        if asked.send(Asked { request, answers }).is_err() {
            return answer(stream, &gone());
        }
        shared.news.ring();
        let mut last = false;
        while let Ok(value) = coming.recv() {
            last = value["event"] != "example";
            answer(stream, &value)?;
        }
        if !last {
            return answer(stream, &gone());
        }
    }
}

fn answer(mut stream: &UnixStream, value: &Value) -> io::Result<()> {
    stream.write_all(format!("{value}\n").as_bytes())
}
