//! What reaches a person: data on standard output, talk on standard error.
//!
//! A pipe that is closed by its reader (`reeve explain | head -1`) is no failure: it comes back as
//! [`ScreenError::Closed`] and ends the process quietly. Colour is written always and taken out by `anstream` where it
//! is not wanted, so no other module asks whether there is a terminal.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Names, headings.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What needs a look.
pub(crate) const CAREFUL: Style = AnsiColor::Yellow.on_default().bold();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// The way out.
pub(crate) const ADVICE: Style = AnsiColor::Cyan.on_default();
/// What can be skipped by the eye.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// `text` in `style`.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How much is said beside the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    /// Summaries, progress and next steps too.
    Normal,
    /// Only data and faults.
    Quiet,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the environment says otherwise
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Not at all
    Never,
}

/// The two streams.
#[derive(Debug)]
pub(crate) struct Screen {
    volume: Volume,
}

/// Data could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScreenError {
    /// Whoever read it has seen enough.
    #[error("standard output was closed by its reader")]
    Closed,
    /// The disk is full, or the like.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
}

impl Screen {
    /// Decides about colour for the whole process.
    pub(crate) fn new(volume: Volume, color: Color) -> Self {
        let choice = match color {
            // Left to the terminal, NO_COLOR and CLICOLOR_FORCE.
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self { volume }
    }

    /// Writes what was asked for, and a line end, to standard output.
    ///
    /// # Errors
    /// When it cannot be written whole. Pass it up: [`crate::failure::report`] knows what to do with it.
    pub(crate) fn data(&self, text: impl Display) -> Result<(), ScreenError> {
        let mut stdout = anstream::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ScreenError::Closed,
            _ => ScreenError::Failed(error),
        })
    }

    /// Writes a summary, progress or a next step to standard error, unless `--quiet`.
    pub(crate) fn talk(&self, text: impl Display) {
        if self.volume == Volume::Normal {
            self.complain(text);
        }
    }

    /// Writes a fault to standard error.
    pub(crate) fn complain(&self, text: impl Display) {
        // There is nobody left to tell that standard error is gone.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Rows in columns without lines between them, the last column wrapped to the width of the screen.
    pub(crate) fn table<R: Into<comfy_table::Row>>(
        &self,
        header: Option<R>,
        rows: impl IntoIterator<Item = R>,
    ) -> String {
        let mut table = comfy_table::Table::new();
        // `anstream` takes colour out again; the table would ask for a terminal on its own.
        table.load_style(comfy_table::presets::NOTHING).enforce_styling();
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.width()).unwrap_or(u16::MAX));
        if let Some(header) = header {
            table.set_header(header);
        }
        table.add_rows(rows);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        table.trim_fmt()
    }

    /// A bar on a terminal for work of `length` steps; nothing elsewhere.
    pub(crate) fn progress(&self, length: u64, unit: &str) -> ProgressBar {
        let target = match self.volume {
            Volume::Normal => ProgressDrawTarget::stderr(),
            Volume::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        match ProgressStyle::with_template(&format!("{{bar:24}} {{pos}}/{{len}} {unit}, {{eta}}")) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// How much is said beside the data.
    pub(crate) const fn volume(&self) -> Volume {
        self.volume
    }

    /// How many columns a report may take: the terminal's, within what is comfortable to read.
    pub(crate) fn width(&self) -> usize {
        comfy_table::Table::new().width().map_or(WIDTH_MAX, |columns| usize::from(columns).clamp(WIDTH_MIN, WIDTH_MAX))
    }
}

/// Narrower than this, a report is broken anyway and is better left to the terminal to wrap.
const WIDTH_MIN: usize = 40;

/// Wider than this, prose is hard to follow from line to line. Also the width in a pipe.
const WIDTH_MAX: usize = 100;
