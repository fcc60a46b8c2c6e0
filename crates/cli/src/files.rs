//! Writing whole files.

use std::path::Path;

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

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::CannotWrite, format!("{}: cannot be written: {error}", path.display()))
}
