//! Checkpoints by hub name, against a hub on loopback that breaks off, lies and refuses.

#[allow(dead_code, reason = "tests/hub_answers.rs needs the rest of it")]
mod loopback;

use std::fs;

use loopback::user::{User, golden};
use loopback::{COMMIT, Hub};

/// The same weights as from the folder, the name in the model file, and the cache as Python's library lays it out.
#[test]
fn a_name_is_as_good_as_a_folder() {
    for checkpoint in ["safetensors", "sharded", "bin"] {
        let hub = Hub::start(&golden(checkpoint));
        let user = User::of(&hub);
        let report = |name: &str| {
            let output = user.quantize(name).arg("--json").unwrap();
            let mut report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            // The name of the checkpoint is in the file, and is not as long; messages have its path.
            let object = report.as_object_mut().unwrap();
            for key in ["time", "file_bytes", "processor_because"] {
                assert!(object.remove(key).is_some(), "{checkpoint}: {key}");
            }
            let crc32 = report["model"].as_object_mut().unwrap().remove("crc32");
            assert!(crc32.is_some(), "{checkpoint}");
            report
        };
        let from_hub = report("some/model");
        let model = fs::read(user.folder.path().join("out.onnx")).unwrap();
        let name = format!("\"some/model@{COMMIT}\"").into_bytes();
        assert!(
            model.windows(name.len()).any(|bytes| bytes == name),
            "{checkpoint}"
        );
        assert_eq!(
            from_hub,
            report(golden(checkpoint).to_str().unwrap()),
            "{checkpoint}"
        );

        assert_eq!(
            fs::read_to_string(user.cache().join("refs/main")).unwrap(),
            COMMIT
        );
        let config = user
            .cache()
            .join("snapshots")
            .join(COMMIT)
            .join("config.json");
        let link = fs::read_link(&config).unwrap();
        assert!(link.starts_with("../../blobs"), "{}", link.display());
        assert_eq!(
            fs::read(config).unwrap(),
            fs::read(golden(checkpoint).join("config.json")).unwrap()
        );
    }
}

#[test]
fn what_is_cached_is_not_fetched_again_and_serves_without_a_hub() {
    let hub = Hub::start(&golden("sharded"));
    let mut user = User::of(&hub);
    user.quantize("some/model")
        .env("HF_HUB_OFFLINE", "1")
        .assert()
        .code(1);
    assert!(hub.requests().is_empty(), "offline is offline");
    user.succeeds("some/model@v1/beta");
    assert!(
        hub.requests()
            .iter()
            .any(|line| line.starts_with("GET /api/models/some/model/revision/v1%2Fbeta "))
    );
    let before = hub.bodies();
    user.succeeds("some/model@v1/beta");
    assert_eq!(hub.bodies(), before, "only questions are asked again");

    // A port where nobody listens.
    user.endpoint = "http://127.0.0.1:1".to_owned();
    let output = user.quantize("some/model@v1/beta").assert().success();
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("out of reach"), "{said}");
    user.quantize("some/model@v1/beta")
        .env("HF_HUB_OFFLINE", "1")
        .assert()
        .success();
    user.fails("some/model", 1, "nor in the cache");
    // A checkpoint of which a shard is missing is not served.
    let snapshot = user.cache().join("snapshots").join(COMMIT);
    fs::remove_file(snapshot.join("model-00002-of-00003.safetensors")).unwrap();
    user.fails("some/model@v1/beta", 1, "nor in the cache");
}

#[test]
fn a_path_wins_over_a_name() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    fs::create_dir_all(user.folder.path().join("some/model")).unwrap();
    user.fails("some/model", 3, "config.json");
    user.fails("no/such/folder", 3, "config.json");
    user.fails("./some-model", 3, "config.json");
    assert_eq!(hub.requests(), Vec::<String>::new());
}

#[test]
fn a_broken_download_is_resumed() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    // The connection breaks twice in the middle: one run gets over it.
    hub.break_off_after(&[5000, 3000]);
    user.succeeds("some/model");
    let asked = hub.ranges();
    assert_eq!(asked, ["bytes=5000-", "bytes=8000-"]);

    // Once it brings nothing, and then the rest.
    let user = User::of(&hub);
    hub.break_off_after(&[4000, 0]);
    user.succeeds("some/model");
    assert_eq!(hub.ranges()[2..], ["bytes=4000-", "bytes=4000-"]);

    // It brings nothing six times: this run ends, what has arrived is kept, and the next run goes on from there.
    let user = User::of(&hub);
    hub.break_off_after(&[4000, 0, 0, 0, 0, 0, 0]);
    user.fails("some/model", 1, "some/model");
    assert!(
        user.blobs()
            .iter()
            .any(|name| name.ends_with(".incomplete"))
    );
    assert!(!user.cache().join("refs/main").exists());
    user.succeeds("some/model");
    assert_eq!(hub.ranges()[4..], ["bytes=4000-"; 7]);
    assert!(
        !user
            .blobs()
            .iter()
            .any(|name| name.ends_with(".incomplete"))
    );

    // A hub may send the whole all the same.
    let user = User::of(&hub);
    hub.ignore_ranges();
    hub.break_off_after(&[4000]);
    user.succeeds("some/model");
    assert_eq!(hub.ranges()[11..], ["bytes=4000-"]);
}

#[test]
fn a_file_that_is_not_what_its_hash_says_is_refused_and_forgotten() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    hub.damage("model.safetensors");
    user.fails("some/model", 1, "SHA-256 is");
    assert!(
        user.blobs().iter().all(|name| name.len() == 40),
        "{:?}",
        user.blobs()
    );
    hub.damage("config.json");
    let small = User::of(&hub);
    small.fails("some/model", 1, "git's SHA-1 is");
    assert_eq!(small.blobs(), Vec::<String>::new());
    hub.heal();
    user.succeeds("some/model");
    small.succeeds("some/model");
    // A wrong beginning from elsewhere: the end comes, the whole is refused, and the next run starts anew.
    let user = User::of(&hub);
    let blob = user
        .cache()
        .join("blobs")
        .join(hub.hash("model.safetensors"));
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(blob.with_extension("incomplete"), [7; 100]).unwrap();
    user.fails("some/model", 1, "SHA-256 is");
    user.succeeds("some/model");
}

#[test]
fn a_hub_that_lies_is_an_error_and_leads_nowhere() {
    let hub = Hub::start(&golden("safetensors"));
    for (etag, says) in [
        ("\"../../../../escaped\"", "ETag"),
        ("\"\"", "ETag"),
        ("\"ABCDEF\"", "ETag"),
    ] {
        let user = User::of(&hub);
        hub.lie_about_etag(etag);
        user.fails("some/model", 1, says);
        assert!(!user.folder.path().join("escaped").exists() && !user.cache().exists());
    }
    hub.heal();
    for (answer, says) in [
        // A redirection that leads nowhere, one in circles, and no HTTP at all.
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "ETag"),
        (
            "HTTP/1.1 307 X\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
            "redirections",
        ),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "500"),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", "some/model"),
    ] {
        hub.answer_questions_with(answer);
        User::of(&hub).fails("some/model", 1, says);
    }
    hub.heal();
    for listing in ["", "{}", "[1", r#"{"sha":"../..","siblings":[]}"#] {
        hub.list_as(listing);
        User::of(&hub).fails("some/model", 1, "some/model");
    }
    hub.list_as(&format!(
        r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"../x"}}]}}"#
    ));
    User::of(&hub).fails("some/model", 3, "no weights");
}
