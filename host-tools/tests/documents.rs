//! Completions, manual pages and exit codes: they cover every verb.

use assert_cmd::Command;
use clap_complete::Shell;
use igpt_tools::cli::Cli;

fn igpt() -> Command {
    Command::cargo_bin("igpt").unwrap()
}

fn verbs() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

#[test]
fn completions_know_every_verb_in_every_shell() {
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::Elvish,
        Shell::PowerShell,
    ] {
        let output = igpt().arg("completions").arg(shell.to_string()).unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
        assert!(script.contains("calibrate"), "{shell}: an option of a verb");
    }
    igpt().args(["completions", "tcsh"]).assert().code(2);
}

/// The shell itself completes: a verb from its beginning, and a verb's option.
#[test]
fn bash_completes() {
    let output = igpt().args(["completions", "bash"]).unwrap();
    let script = String::from_utf8(output.stdout).unwrap();
    let complete = |words: &str, index: usize| {
        let run = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={index}\n\
             _igpt igpt \"${{COMP_WORDS[{index}]}}\" \"${{COMP_WORDS[{}]}}\"; echo \"${{COMPREPLY[@]}}\"",
            index - 1
        );
        let output = Command::new("bash").arg("-c").arg(run).unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("igpt quan", 1), "quantize");
    assert_eq!(complete("igpt palette --col", 2), "--colors");
    assert_eq!(complete("igpt run --isa sca", 3), "scalar");
}

#[test]
fn there_is_a_manual_page_for_every_verb_with_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man/man1");
    igpt().arg("man").arg("-o").arg(&out).assert().success();
    let names = verbs();
    let pages = std::iter::once("igpt".to_owned())
        .chain(names.iter().map(|verb| format!("igpt-{verb}")))
        .collect::<Vec<_>>();
    for name in &pages {
        let page = std::fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH \"EXIT STATUS\""), "{name}");
        assert!(page.contains("the input is at fault"), "{name}");
        let verb = name.strip_prefix("igpt-").unwrap_or("--help");
        let help = igpt().args([verb, "-h"]).unwrap().stdout;
        assert_eq!(
            page.contains(".SH EXAMPLES"),
            String::from_utf8(help).unwrap().contains("Examples:"),
            "{name}"
        );
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), pages.len());
    // A file where the folder should be: not the input's fault.
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "").unwrap();
    igpt().arg("man").arg("-o").arg(&taken).assert().code(1);
}

#[test]
fn help_tells_the_exit_codes_of_every_verb_after_its_examples() {
    for verb in verbs() {
        let help = |option| {
            let output = igpt().args([verb.as_str(), option]).unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let (short, long) = (help("-h"), help("--help"));
        assert!(long.contains("3  the input is at fault"), "{verb}");
        // Clap breaks what is longer anywhere, on a terminal of 80 columns.
        let command = Cli::command();
        let after = command
            .find_subcommand(&verb)
            .unwrap()
            .get_after_long_help();
        for line in after.unwrap().to_string().lines() {
            assert!(line.chars().count() <= 78, "{verb}: {line}");
        }
        for part in ["Examples:", "How to read it:"] {
            assert_eq!(short.contains(part), long.contains(part), "{verb}: {part}");
        }
    }
}
