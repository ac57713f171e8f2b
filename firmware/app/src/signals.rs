//! Ctrl-C and SIGTERM: the first asks for the end, the second does not wait for it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::bell::Shared;

/// An orderly end takes at most one frame. If it has not come after this long, something is stuck
/// (a reader of our output that stopped reading), and waiting longer helps nobody.
const GRACE: Duration = Duration::from_secs(10);

/// Starts the thread that waits for signals.
///
/// # Errors
/// When handlers cannot be installed.
pub(super) fn watch(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if shared.stop_requested() {
                    leave(signal);
                }
                shared.request_stop();
                // Without this thread the second signal still works.
                let _ = thread::Builder::new()
                    .name("grace".to_owned())
                    .spawn(move || {
                        thread::sleep(GRACE);
                        leave(signal);
                    });
            }
        })?;
    Ok(())
}

/// As a shell reports a process that died of `signal`.
fn leave(signal: i32) -> ! {
    std::process::exit(128 + signal)
}
