//! `igpt completions`: what makes a shell complete this command's verbs and options.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::failure::{Failure, printed};

/// Print a completion script for a shell.
///
/// bash: `igpt completions bash > ~/.local/share/bash-completion/completions/igpt`; fish: `igpt completions
/// fish > ~/.config/fish/completions/igpt.fish`; zsh: `igpt completions zsh > DIR/_igpt`, with DIR in
/// `fpath`. Make the folder if it is not there; a new shell has them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The shell.
    pub shell: Shell,
}

/// Runs the verb.
///
/// # Errors
/// Standard output that cannot be written.
pub fn run(args: &Args, mut command: clap::Command) -> Result<(), Failure> {
    // clap_complete panics where it cannot write; a Vec takes everything.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "igpt", &mut script);
    let mut out = io::stdout().lock();
    printed(out.write_all(&script).and_then(|()| out.flush()))
}
