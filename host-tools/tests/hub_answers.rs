//! What the hub answers instead of a file, a refusal or a redirection, and what the environment says of it all.

#[allow(dead_code, reason = "tests/hub.rs needs the rest of it")]
mod loopback;

use std::fs;

use loopback::user::{User, golden};
use loopback::{Hub, Locations};

#[test]
fn refusals_say_what_to_do() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    user.fails("some/other", 3, "404");
    user.fails("some/model@no-such-branch", 3, "404");
    hub.want_token("secret");
    user.fails("some/model", 3, "set HF_TOKEN");
    let wrong = user
        .quantize("some/model")
        .env("HF_TOKEN", "wrong")
        .assert();
    wrong.code(3);
    user.quantize("some/model")
        .env("HF_TOKEN", "secret")
        .assert()
        .success();
    // The other place for it: where the hub's own command puts it.
    let user = User::of(&hub);
    fs::write(user.folder.path().join("token"), "secret\n").unwrap();
    user.succeeds("some/model");
    assert!(
        hub.storage_saw_no_token(),
        "the storage must not learn the token"
    );
}

/// The hub's own words for why, what they mean, and the next step: with a token, without one, and with one that is
/// kept back.
#[test]
fn error_headers_say_why_and_what_to_do() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    let page = format!("{}/some/model", hub.endpoint());
    let settings = format!("{}/settings/tokens", hub.endpoint());
    let terms = format!("accept its terms at {page}");
    let gated =
        "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to model some/model is restricted.\r\n";
    let missing = "X-Error-Code: RepoNotFound\r\nX-Error-Message: Repository not found\r\n";
    let disabled = "X-Error-Message: Access to this resource is disabled.\r\n";
    let bad_token = "X-Error-Message: Invalid credentials in Authorization header\r\n";
    type Row<'a> = (
        &'a str,
        &'a str,
        Option<(&'a str, &'a str)>,
        i32,
        &'a [&'a str],
    );
    let token = Some(("HF_TOKEN", "hf_mine"));
    let old_token = Some(("HUGGING_FACE_HUB_TOKEN", "hf_mine"));
    let kept_back = Some(("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"));
    let rows: &[Row<'_>] = &[
        (
            "401 Unauthorized",
            gated,
            None,
            3,
            &[
                &terms,
                "set HF_TOKEN",
                &settings,
                "the hub says: Access to model",
            ],
        ),
        (
            "403 Forbidden",
            gated,
            token,
            3,
            &[&terms, "token in HF_TOKEN has no access"],
        ),
        (
            "403 Forbidden",
            gated,
            old_token,
            3,
            &["token in HUGGING_FACE_HUB_TOKEN"],
        ),
        (
            "401 Unauthorized",
            gated,
            kept_back,
            3,
            &[&terms, "unset HF_HUB_DISABLE_IMPLICIT_TOKEN"],
        ),
        (
            "401 Unauthorized",
            missing,
            None,
            3,
            &["no model some/model, or it is private", "set HF_TOKEN"],
        ),
        (
            "404 Not Found",
            missing,
            token,
            3,
            &["does not show it to the token in HF_TOKEN"],
        ),
        (
            "401 Unauthorized",
            "",
            None,
            3,
            &["no model some/model, or it is private"],
        ),
        (
            "404 Not Found",
            "X-Error-Code: RevisionNotFound\r\n",
            None,
            3,
            &["no branch, tag or commit `main`", &page],
        ),
        (
            "404 Not Found",
            "X-Error-Code: EntryNotFound\r\n",
            None,
            3,
            &["no such file at `main`", &page],
        ),
        (
            "403 Forbidden",
            disabled,
            token,
            3,
            &["the hub has disabled some/model"],
        ),
        (
            "401 Unauthorized",
            bad_token,
            token,
            3,
            &[
                "does not know the token in HF_TOKEN",
                &settings,
                "hf auth login",
            ],
        ),
        (
            "403 Forbidden",
            "",
            token,
            3,
            &["does not allow this to the token in HF_TOKEN"],
        ),
        (
            "404 Not Found",
            "",
            None,
            3,
            &["does not have this model, revision or file"],
        ),
        (
            "418 Teapot",
            "X-Error-Message: no coffee\r\n",
            None,
            1,
            &["418", "the hub says: no coffee"],
        ),
        (
            "429 Too Many Requests",
            "Retry-After: 7\r\n",
            None,
            1,
            &["wait 7 s", "set HF_TOKEN"],
        ),
        (
            "429 Too Many Requests",
            "RateLimit: \"api\";r=0;t=133\r\nRateLimit-Policy: \"fixed window\";\"api\";q=500;w=300\r\n",
            None,
            1,
            &["wait 133 s", "set HF_TOKEN"],
        ),
        (
            "503 Oh",
            "X-Error-Message: maintenance\r\n",
            None,
            1,
            &["neither a path here nor in the cache", "maintenance"],
        ),
    ];
    for (status, headers, variable, code, says) in rows {
        hub.refuse(status, headers);
        let mut command = user.quantize("some/model");
        command.envs(*variable);
        let refused = command.assert().code(*code);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        for says in *says {
            assert!(
                message.contains(says),
                "{status} {headers:?}: {says:?} is not in {message}"
            );
        }
        assert!(!message.contains("hf_mine"), "{message}");
    }
}

/// What a hub that is there and answers with an error says is told; the model in the cache serves.
#[test]
fn a_hub_without_an_answer_is_not_called_out_of_reach() {
    let hub = Hub::start(&golden("safetensors"));
    let user = User::of(&hub);
    user.succeeds("some/model");
    for (status, headers, words) in [
        ("500 Oh", "", "500"),
        (
            "429 Too Many Requests",
            "RateLimit: \"api\";r=0;t=5\r\n",
            "wait 5 s",
        ),
    ] {
        hub.refuse(status, headers);
        let served = user.quantize("some/model").assert().success();
        let said = String::from_utf8_lossy(&served.get_output().stderr).into_owned();
        let cached = said.contains("some/model@main as it was fetched last");
        assert!(cached && said.contains(words), "{said}");
        assert!(!said.contains("out of reach"), "{said}");
    }
}

/// Wherever a redirection is written to, by URL joining, with the token on the hub and without it elsewhere.
#[test]
fn redirections_of_every_form_are_followed() {
    for locations in [
        Locations::Rooted,
        Locations::Absolute,
        Locations::ProtocolRelative,
        Locations::Relative,
        Locations::Sibling,
    ] {
        let hub = Hub::start(&golden("safetensors"));
        hub.want_token("secret");
        hub.redirect_by(locations);
        let user = User::of(&hub);
        let mut command = user.quantize("some/model");
        command.env("HF_TOKEN", "secret").assert().success();
        assert!(hub.storage_saw_no_token(), "{locations:?}");
        assert_eq!(hub.tokens(), ["Bearer secret"], "{locations:?}");
    }
}

/// A hub that is only a signpost: another host serves all of it, and does not learn the token. The answer has the
/// ETag, which the redirection lacks.
#[test]
fn another_host_never_learns_the_token() {
    let other = Hub::start(&golden("safetensors"));
    let hub = Hub::start(&golden("safetensors"));
    // The same machine under another name, and the same name at another port: both are another host.
    let elsewhere = other.endpoint().replace("127.0.0.1", "localhost");
    for target in [elsewhere, other.endpoint()] {
        let user = User::of(&hub);
        let location = format!("Location: {target}/resolve-cache/config.json\r\n");
        hub.answer_questions_with(&format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\n{location}Content-Length: 0\r\n\r\n"
        ));
        let mut command = user.quantize("some/model");
        command.env("HF_TOKEN", "secret").assert().failure();
        assert_eq!(other.tokens(), ["none"], "{target}");
        assert_eq!(hub.tokens(), ["Bearer secret"], "{target}");
    }
    // What is no address of the web is not followed at all.
    for location in ["file:///etc/passwd", "ftp://localhost/x", "http://"] {
        hub.answer_questions_with(&format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ));
        User::of(&hub).fails("some/model", 1, location);
    }
}

/// By the program what the table says of the library: where the cache is, which token is sent, who is asked.
#[test]
fn the_environment_means_what_it_means_to_python() {
    let hub = Hub::start(&golden("safetensors"));
    let cached = |user: &User, folder: &str| {
        let model = user.folder.path().join(folder);
        model.join("models--some--model/refs/main").exists()
    };
    for (name, value, cache) in [
        ("HF_HOME", "~/hh", "home/hh/hub"),
        ("HF_HUB_CACHE", "~/hc", "home/hc"),
        ("HUGGINGFACE_HUB_CACHE", "${HOME}/old", "home/old"),
        ("XDG_CACHE_HOME", "~/xdg", "home/xdg/huggingface/hub"),
        ("HF_HOME", "here", "here/hub"),
    ] {
        let user = User::of(&hub);
        let mut command = user.quantize("some/model");
        command.env_remove("HF_HOME").env(name, value);
        command.assert().success();
        assert!(cached(&user, cache), "{name}={value}");
    }
    for (name, value, offline) in [
        ("HF_HUB_OFFLINE", "false", false),
        ("HF_HUB_OFFLINE", "no", false),
        ("HF_HUB_OFFLINE", "Off", false),
        ("HF_HUB_OFFLINE", "On", true),
        ("TRANSFORMERS_OFFLINE", "YES", true),
    ] {
        let hub = Hub::start(&golden("safetensors"));
        let user = User::of(&hub);
        let output = user
            .quantize("some/model")
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.success(), !offline, "{name}={value}");
        assert_eq!(hub.requests().is_empty(), offline, "{name}={value}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains(&format!("{name} is set")), offline, "{said}");
    }
    for (name, value, token) in [
        ("HUGGING_FACE_HUB_TOKEN", " hf_old\n", "Bearer hf_old"),
        ("HF_TOKEN", "", "Bearer hf_saved"),
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes", "none"),
        ("HF_TOKEN_PATH", "$HOME/t", "Bearer hf_t"),
    ] {
        let hub = Hub::start(&golden("safetensors"));
        let user = User::of(&hub);
        fs::write(user.folder.path().join("token"), "hf_saved\r\n").unwrap();
        fs::create_dir(user.folder.path().join("home")).unwrap();
        fs::write(user.folder.path().join("home/t"), "hf_t").unwrap();
        let mut command = user.quantize("some/model");
        command.env(name, value).assert().success();
        assert_eq!(hub.tokens(), [token], "{name}={value}");
    }
    for endpoint in ["", "hub.example", "ftp://hub.example", "http:// hub"] {
        let mut user = User::of(&hub);
        user.endpoint = endpoint.to_owned();
        user.fails("some/model", 1, "HF_ENDPOINT is");
    }
    let mut user = User::of(&hub);
    user.endpoint.push_str("//");
    user.succeeds("some/model");
}
