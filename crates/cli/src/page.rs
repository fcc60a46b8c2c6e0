//! The frame of every page that this program writes: one HTML file that needs nothing else, no network and no script.

use std::ffi::OsString;
use std::sync::OnceLock;

const STYLE: &str = include_str!("page.css");
/// Widths of the plots that span the page, for screens wide and narrow.
pub(crate) const WIDE: u32 = 960;
pub(crate) const NARROW: u32 = 392;

/// A page of this body; `style` comes after the common one.
pub(crate) fn document(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title)
    )
}

/// A plot at both widths, of which the page shows the one that fits.
pub(crate) fn both(wide: &str, narrow: &str) -> String {
    format!("<figure class=\"plot\"><div class=\"wide\">{wide}</div><div class=\"narrow\">{narrow}</div></figure>\n")
}

/// What the command was called with, for the pages that it writes.
static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();

/// Remembers the command line.
pub(crate) fn called_with(arguments: &[OsString]) {
    // A second command of one process writes the first one's line at worst.
    let _ = ARGUMENTS.set(arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect());
}

/// The command line, without the folder that the program lies in.
pub(crate) fn command() -> String {
    let quoted = |word: &String| match word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:".contains(c)) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    let arguments = ARGUMENTS.get().map_or(&[][..], Vec::as_slice).iter().skip(1).map(quoted);
    std::iter::once("sluicegate".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Text that cannot become markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(super::escape("<a b=\"1\">&"), "&lt;a b=&quot;1&quot;&gt;&amp;");
    }
}
