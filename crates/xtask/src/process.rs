//! Running other programs, with errors that name what was run.

use std::fmt::Write as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What a step comes to: nothing, or why it failed.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The cargo that runs this task, so that every step uses one toolchain.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end with its output shown; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = show(command);
    println!("$ {shown}");
    let status = command.status().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    judge(&shown, status)
}

/// Runs a program to its end and returns what it printed; its errors are shown as they come.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let shown = show(command);
    println!("$ {shown}");
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    judge(&shown, output.status)?;
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` printed something that is not UTF-8"))
}

/// Like [`run`], but ends the program and all it started after `limit`.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Outcome {
    let shown = show(command);
    println!("$ {shown}");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    let group = format!("-{}", child.id());
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // The receiver is gone when the limit has passed; nobody wants the status then.
        drop(sender.send(status));
    });
    match receiver.recv_timeout(limit) {
        Ok(Ok(status)) => judge(&shown, status),
        Ok(Err(error)) => Err(format!("lost track of `{shown}`: {error}")),
        Err(_) => {
            let ended = Command::new("kill").args(["-KILL", "--", &group]).status();
            if ended.is_ok_and(|status| status.success()) {
                drop(waiter.join());
            }
            Err(format!("`{shown}` took longer than {} s", limit.as_secs()))
        }
    }
}

fn judge(shown: &str, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    if let Some((_, name)) = shown.rsplit_once('/') {
        shown = name.to_owned();
    }
    for argument in command.get_args() {
        // Writing to a string cannot fail.
        let _ = write!(shown, " {}", argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named() {
        let error = run(Command::new("false").arg("x")).unwrap_err();
        assert!(error.starts_with("`false x` ended with"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        assert!(run(&mut Command::new("no-such-program")).unwrap_err().contains("cannot start `no-such-program`"));
    }

    #[cfg(unix)]
    #[test]
    fn a_hanging_program_is_ended() {
        let error = run_within(Duration::from_millis(50), Command::new("sleep").arg("600")).unwrap_err();
        assert!(error.contains("took longer"), "{error}");
    }

    #[test]
    fn a_quick_program_is_within_its_limit() {
        assert_eq!(run_within(Duration::from_secs(60), &mut Command::new("true")), Ok(()));
    }
}
