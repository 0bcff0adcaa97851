//! Running other programs: where, with what result, and what Ctrl-C means meanwhile.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Result of a developer command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Exit status of a command that the user stopped, as a shell gives it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ended early, and the exit status that says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// Absent where the program that failed has said enough.
    pub(crate) message: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: Some(message.into()),
        }
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is for the program being run, which the terminal tells as well: this one waits for it to end.
pub(crate) fn outlive_interrupts() -> Result<()> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::SeqCst))
        .map_err(|error| Failure::new(format!("cannot handle Ctrl-C: {error}")))
}

/// Ends the command if the user pressed Ctrl-C.
pub(crate) fn check_stop() -> Result<()> {
    if STOP.load(Ordering::SeqCst) {
        Err(Failure {
            code: INTERRUPTED,
            message: None,
        })
    } else {
        Ok(())
    }
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A path of the workspace, short where the working directory is its root.
pub(crate) fn from_root(path: &str) -> PathBuf {
    match std::env::current_dir() {
        Ok(here) if here == root() => PathBuf::from(path),
        _ => root().join(path),
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Says what is run, runs it, and passes on how it ended.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    run_quietly(command)
}

/// As [`run`], for a command line that says nothing to a person.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    check_stop()?;
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    check(status)
}

/// As [`run`], and returns what the program wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    check_stop()?;
    eprintln!("$ {}", line(command));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    check(output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "cannot run `{}`: {error}",
        command.get_program().to_string_lossy()
    ))
}

pub(crate) fn check(status: ExitStatus) -> Result<()> {
    if status.success() {
        check_stop()
    } else {
        Err(Failure {
            code: exit_code(status),
            message: None,
        })
    }
}

/// The exit status as a shell gives it: 128 and the signal for a program that a signal ended.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The command as one could type it.
pub(crate) fn line(command: &Command) -> String {
    let quoted = |word: &OsStr| {
        let word = word.to_string_lossy();
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"$\\".contains(c)) {
            format!("'{}'", word.replace('\'', r"'\''"))
        } else {
            word.into_owned()
        }
    };
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args()).map(quoted);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_could_be_typed() {
        let mut command = Command::new("/some/where/rlhf");
        command.args(["ppo", "--set", "data.root=my files", ""]);
        assert_eq!(line(&command), "rlhf ppo --set 'data.root=my files' ''");
    }

    #[cfg(unix)]
    #[test]
    fn exit_codes_are_those_of_a_shell() {
        use std::os::unix::process::ExitStatusExt;
        // The wait status of a program holds its exit code in the second byte and a signal in the first.
        assert_eq!(exit_code(ExitStatus::from_raw(130 << 8)), 130);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("no-such-program-here")).expect_err("it is not there");
        assert!(
            failure
                .message
                .is_some_and(|message| message.contains("no-such-program-here"))
        );
    }
}
