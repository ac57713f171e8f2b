//! What a service of systemd cannot see or write, said where it hurts: a path that is there for everyone else.

use std::io::ErrorKind;
use std::path::Path;

/// Where the unit's ProtectHome= leaves nothing to see.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// What PrivateTmp= gives every service for itself.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Whether systemd runs this process as a service.
pub(super) fn is_service() -> bool {
    let of_ours = |pid: String| pid == std::process::id().to_string();
    std::env::var_os("NOTIFY_SOCKET").is_some()
        || std::env::var("SYSTEMD_EXEC_PID").is_ok_and(of_ours)
}

/// What to do about a path that a service could not use: nothing for paths that no unit hides.
pub(super) fn hint(path: &Path, problem: ErrorKind) -> Option<String> {
    let within = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let unseen = matches!(problem, ErrorKind::NotFound | ErrorKind::PermissionDenied);
    if unseen && within(&HOMES) {
        return Some(
            "a service sees nothing of /home, /root and /run/user (ProtectHome= in its unit): copy it to where \
             services may read, such as /usr/local/share/igpt-cam/, or allow it as the comment beside ProtectHome= in \
             `systemctl cat igpt-cam` shows"
                .to_owned(),
        );
    }
    if unseen && within(&TEMPORARY) {
        return Some(
            "a service has a /tmp and a /var/tmp of its own (PrivateTmp= in its unit): copy it to where services may \
             read, such as /usr/local/share/igpt-cam/"
                .to_owned(),
        );
    }
    matches!(problem, ErrorKind::ReadOnlyFilesystem).then(|| {
        format!(
            "a service may write only where its unit says (ProtectSystem=): `systemctl edit igpt-cam` and add \
             [Service] and ReadWritePaths={}, or write below /var/lib/igpt-cam",
            path.display()
        )
    })
}

/// Adds the hint to an error about `path`, if this is a service and there is one.
pub(super) fn explain(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let problem = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let hint = problem.and_then(|problem| hint(path, problem.kind()));
    match hint.filter(|_| is_service()) {
        Some(hint) => anyhow::anyhow!("{}; {hint}", super::exit::chain(&error)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::hint;
    use std::io::ErrorKind::{InvalidData, NotFound, PermissionDenied, ReadOnlyFilesystem};
    use std::path::Path;

    #[test]
    fn what_the_unit_hides_is_said_and_nothing_else() {
        let said = |path: &str, problem| hint(Path::new(path), problem).unwrap_or_default();
        for path in ["/home/pi/m.onnx", "/root/m.onnx", "/run/user/1000/m.onnx"] {
            assert!(said(path, NotFound).contains("ProtectHome="), "{path}");
            assert!(
                said(path, PermissionDenied).contains("ProtectHome="),
                "{path}"
            );
        }
        assert!(said("/tmp/photos", NotFound).contains("PrivateTmp="));
        assert!(said("/srv/out", ReadOnlyFilesystem).contains("ReadWritePaths=/srv/out"));
        assert_eq!(said("/srv/m.onnx", NotFound), "");
        assert_eq!(said("/homes/m.onnx", NotFound), "");
        assert_eq!(said("/home/pi/m.onnx", InvalidData), "");
    }
}
