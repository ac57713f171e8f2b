//! What the crate hf-hub does when the hub lies: why src/hub asks and fetches by itself. Each test holds as
//! long as the crate has that gap; when one fails, the crate has been mended, and the code of ours beside it
//! may go.

#[allow(dead_code, reason = "it is tests/hub.rs that needs all of it")]
mod loopback;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use loopback::{COMMIT, Hub};
use tempfile::TempDir;

const SMALL: &str = "config.json";
const LARGE: &str = "model.safetensors";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/checkpoint/safetensors")
}

fn hub() -> Hub {
    Hub::start(&golden())
}

fn api(hub: &Hub, folder: &TempDir, token: Option<&str>) -> Api {
    ApiBuilder::from_cache(Cache::new(folder.path().join("hub")))
        .with_endpoint(hub.endpoint())
        .with_token(token.map(str::to_owned))
        .with_progress(false)
        .build()
        .unwrap()
}

fn model(api: &Api) -> ApiRepo {
    let repo = Repo::with_revision("some/model".to_owned(), RepoType::Model, COMMIT.to_owned());
    api.repo(repo)
}

fn blob(hub: &Hub, folder: &TempDir, file: &str) -> PathBuf {
    let blobs = folder.path().join("hub/models--some--model/blobs");
    blobs.join(hub.hash(file))
}

/// The control: an honest hub, a crate that works.
#[test]
fn an_honest_hub_is_served() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    let api = api(&hub, &folder, None);
    let path = model(&api).download(LARGE).unwrap();
    assert_eq!(
        path.canonicalize().unwrap(),
        blob(&hub, &folder, LARGE).canonicalize().unwrap()
    );
}

#[test]
fn the_storage_learns_the_token() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.want_token("secret");
    let api = api(&hub, &folder, Some("secret"));
    api.metadata(&model(&api).url(LARGE)).unwrap();
    assert!(!hub.storage_saw_no_token());
}

#[test]
fn an_etag_leads_out_of_the_cache() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.lie_about_etag("\"../../../escaped\"");
    // It fails or not, the file is where it should not be.
    let _ = model(&api(&hub, &folder, None)).download(SMALL);
    assert!(folder.path().join("escaped").exists());
}

#[test]
fn a_file_that_is_not_what_its_hash_says_is_kept() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.damage(LARGE);
    model(&api(&hub, &folder, None)).download(LARGE).unwrap();
    assert!(blob(&hub, &folder, LARGE).exists());
}

#[test]
fn a_whole_file_that_only_lacked_its_name_is_never_finished() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    let blob = blob(&hub, &folder, LARGE);
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::copy(golden().join(LARGE), blob.with_extension("part")).unwrap();
    for _ in 0..2 {
        model(&api(&hub, &folder, None))
            .download(LARGE)
            .unwrap_err();
    }
}

#[test]
fn a_whole_file_is_appended_to_half_of_one() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.ignore_ranges();
    let blob = blob(&hub, &folder, LARGE);
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    let whole = fs::read(golden().join(LARGE)).unwrap();
    fs::write(blob.with_extension("part"), &whole[..4000]).unwrap();
    model(&api(&hub, &folder, None)).download(LARGE).unwrap();
    assert_eq!(fs::metadata(blob).unwrap().len(), whole.len() as u64 + 4000);
}

#[test]
fn a_redirection_that_leads_nowhere_panics() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.answer_questions_with(&format!(
        "HTTP/1.1 302 Found\r\nETag: \"x\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Length: 0\r\n\r\n"
    ));
    let api = api(&hub, &folder, None);
    panic::catch_unwind(panic::AssertUnwindSafe(|| model(&api).download(SMALL))).unwrap_err();
}

#[test]
fn redirections_in_circles_never_end() {
    let (hub, folder) = (hub(), TempDir::new().unwrap());
    hub.answer_questions_with(
        "HTTP/1.1 307 X\r\nLocation: /again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    let (sender, receiver) = mpsc::channel();
    let api = api(&hub, &folder, None);
    // It ends with the test's process.
    thread::spawn(move || sender.send(model(&api).download(SMALL).is_ok()));
    receiver.recv_timeout(Duration::from_secs(2)).unwrap_err();
    assert!(hub.requests().len() > 20);
}
