//! Error pages of the deployment's own: files in a folder, read once, filled with a status and an event id.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use http::StatusCode;

/// The pages of a folder: `404.html` for one status, `4xx.html` and `5xx.html` for a class, `default.html` for the rest.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    by_status: BTreeMap<u16, Template>,
    client_errors: Option<Template>,
    server_errors: Option<Template>,
    default: Option<Template>,
}

/// Why the pages cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PagesError {
    /// The folder, or a file in it, cannot be read.
    #[error("the error pages cannot be read: `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A name that no status has.
    #[error(
        "`{}` is the page of no error; write a status from 400 to 599 such as `404.html`, or `4xx.html`, `5xx.html`, \
         `default.html`",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// More than 128 KiB.
    #[error("`{}` is larger than the {} KiB that an error page may have", path.display(), PAGE_BYTES_MAX / 1024)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8, as which it would be served.
    #[error("`{}` is not UTF-8; save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// No page at all.
    #[error("`{}` holds no error page; put a `default.html` there", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// A page's text, with the places where something is filled in.
#[derive(Debug)]
struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Status,
    Reason,
    Event,
}

impl Pages {
    /// Reads every `.html` in `folder`; other files are left alone.
    ///
    /// # Errors
    /// See [`PagesError`]; a page that cannot be used is an error, because an error is a bad time to find out.
    pub(crate) fn load(folder: &Path) -> Result<Self, PagesError> {
        let unreadable = |source| PagesError::Unreadable { path: folder.to_owned(), source };
        let mut pages = Self::default();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html")) {
                pages.add(path)?;
            }
        }
        let found = !pages.by_status.is_empty()
            || pages.client_errors.is_some()
            || pages.server_errors.is_some()
            || pages.default.is_some();
        if found { Ok(pages) } else { Err(PagesError::Empty { path: folder.to_owned() }) }
    }

    fn add(&mut self, path: PathBuf) -> Result<(), PagesError> {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let status = name.parse::<u16>().ok().filter(|status| (400..600).contains(status) && name.len() == 3);
        if status.is_none() && !matches!(name.as_str(), "4xx" | "5xx" | "default") {
            return Err(PagesError::Name { path });
        }
        let template = Template::parse(&read(path)?);
        match (status, name.as_str()) {
            (Some(status), _) => drop(self.by_status.insert(status, template)),
            (None, "4xx") => self.client_errors = Some(template),
            (None, "5xx") => self.server_errors = Some(template),
            (None, _) => self.default = Some(template),
        }
        Ok(())
    }

    /// The page for a status, if there is one for it.
    pub(crate) fn render(&self, status: StatusCode, event: &str) -> Option<String> {
        let class = if status.is_server_error() { &self.server_errors } else { &self.client_errors };
        let template = self.by_status.get(&status.as_u16()).or(class.as_ref()).or(self.default.as_ref())?;
        Some(template.render(status, event))
    }
}

fn read(path: PathBuf) -> Result<String, PagesError> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(&path).and_then(|file| file.take(PAGE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(source) = opened {
        return Err(PagesError::Unreadable { path, source });
    }
    if bytes.len() as u64 > PAGE_BYTES_MAX {
        return Err(PagesError::TooLarge { path });
    }
    String::from_utf8(bytes).map_err(|_| PagesError::NotUtf8 { path })
}

impl Template {
    /// Braces that hold none of the three names are text: styles are full of them.
    fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut passed = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            passed.push_str(before);
            let known = PLACEHOLDERS.iter().find_map(|(name, make)| Some((after.strip_prefix(*name)?, make)));
            match known {
                Some((after, make)) => {
                    parts.extend([Part::Text(std::mem::take(&mut passed)), make()]);
                    rest = after;
                }
                None => {
                    passed.push('{');
                    rest = after;
                }
            }
        }
        passed.push_str(rest);
        parts.push(Part::Text(passed));
        Self(parts)
    }

    fn render(&self, status: StatusCode, event: &str) -> String {
        let mut page = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => page.push_str(text),
                Part::Status => page.push_str(status.as_str()),
                Part::Reason => escape(status.canonical_reason().unwrap_or("Error"), &mut page),
                Part::Event => escape(event, &mut page),
            }
        }
        page
    }
}

/// What is filled in is our own, and is escaped all the same: the page decides whether it stands in a text or an attribute.
fn escape(text: &str, page: &mut String) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

type MakePart = fn() -> Part;

/// What is written after the brace, and what is put there.
const PLACEHOLDERS: [(&str, MakePart); 3] =
    [("status}", || Part::Status), ("reason}", || Part::Reason), ("event}", || Part::Event)];

/// Larger ones would be a way to amplify traffic: anybody can provoke an error.
const PAGE_BYTES_MAX: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        folder
    }

    #[track_caller]
    fn refused(files: &[(&str, &[u8])], fragment: &str) {
        let message = Pages::load(folder(files).path()).unwrap_err().to_string();
        assert!(message.contains(fragment), "{message}");
    }

    #[test]
    fn the_nearest_page_is_taken_and_only_the_known_places_are_filled() {
        let folder = folder(&[
            ("404.html", b"<style>p{color:red}</style>{status} {reason} {event} {secret}"),
            ("5xx.html", b"five"),
            ("default.html", b"other {event}"),
            ("logo.svg", b"\xff"),
        ]);
        let pages = Pages::load(folder.path()).unwrap();
        let page = |status: u16| pages.render(StatusCode::from_u16(status).unwrap(), "<01>").unwrap();
        assert_eq!(page(404), "<style>p{color:red}</style>404 Not Found &lt;01&gt; {secret}");
        assert_eq!(page(503), "five");
        assert_eq!(page(403), "other &lt;01&gt;");
    }

    #[test]
    fn without_a_page_for_a_status_ours_is_shown() {
        let pages = Pages::load(folder(&[("404.html", b"x")]).path()).unwrap();
        assert_eq!(pages.render(StatusCode::BAD_GATEWAY, "1"), None);
    }

    #[test]
    fn pages_that_cannot_be_used_are_errors() {
        refused(&[], "holds no error page");
        refused(&[("40x.html", b"")], "is the page of no error");
        refused(&[("200.html", b"")], "is the page of no error");
        refused(&[("404.html", b"\xff")], "is not UTF-8");
        refused(&[("404.html", &vec![b'a'; 128 * 1024 + 1])], "larger than the 128 KiB");
        let message = Pages::load(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
        assert!(Pages::load(folder(&[("404.html", &vec![b'a'; 128 * 1024])]).path()).is_ok());
    }
}
