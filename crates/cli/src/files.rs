//! Writing whole files.

use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};

/// Checks that a file can be written, before the work whose result it is for.
pub(crate) fn open(path: &Path) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.map(drop).map_err(|error| cannot_write(path, &error))
}

/// Writes it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

/// Checks that each output is a file of its own, before anything is written: not one of the inputs under whatever name, nor
/// another output. Each comes with what the message calls it, such as `the log` and `--json`.
pub(crate) fn apart(inputs: &[(&str, &Path)], outputs: &[(&str, &Path)]) -> Result<(), Failure> {
    for (place, (flag, path)) in outputs.iter().enumerate() {
        let Some(own) = whole(path) else { continue };
        let mut others = inputs.iter().chain(outputs.iter().take(place));
        if let Some((what, _)) = others.find(|(_, other)| whole(other).as_ref() == Some(&own)) {
            let text = format!("{flag} {}: this file is {what} as well, which would be lost", path.display());
            return Err(Failure::new(Code::Usage, text).remedy(format!("give {flag} a file of its own")));
        }
    }
    Ok(())
}

/// Where a file is or would be; `None` for what writing does not replace, such as a pipe or a terminal.
fn whole(path: &Path) -> Option<PathBuf> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return None;
    }
    path.canonicalize().ok().or_else(|| {
        let absolute = std::path::absolute(path).ok()?;
        let folder = absolute.parent()?.canonicalize().ok()?;
        Some(folder.join(absolute.file_name()?))
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::CannotWrite, format!("{}: cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_files_of_their_own_under_whatever_name() {
        let folder = std::env::temp_dir().join(format!("sluicegate-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("in")).unwrap();
        let (log, other) = (folder.join("log"), folder.join("in/../log"));
        std::fs::write(&log, "x").unwrap();
        let (new, again) = (folder.join("new"), folder.join("in/../new"));
        let inputs = [("the log", log.as_path())];
        let told = |outputs: &[(&str, &Path)]| apart(&inputs, outputs).map_err(|failure| failure.what);
        assert_eq!(told(&[("--json", &new), ("--html", &folder.join("page"))]), Ok(()));
        assert!(told(&[("--json", &other)]).unwrap_err().contains("this file is the log as well"));
        let twice = told(&[("--json", &new), ("--html", &again)]).unwrap_err();
        assert!(twice.starts_with("--html ") && twice.contains("this file is --json as well"), "{twice}");
        // Nothing is lost in a folder, or where there is none.
        assert_eq!(told(&[("--json", &folder), ("--html", &folder)]), Ok(()));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
