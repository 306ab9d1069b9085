//! The figures on a terminal, drawn anew for each interval.

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::view::View;
use super::{Source, plain};

/// Draws until somebody ends it.
pub(super) fn until_ended(source: &Source, interval: Duration) -> anyhow::Result<()> {
    // Asked before the terminal is taken, so that a gateway that does not run is said plainly.
    let mut before = source.look()?;
    let mut terminal = ratatui::try_init()?;
    let outcome = loop {
        match wait(interval) {
            Ok(Go::End) => break Ok(()),
            Ok(Go::On) => {}
            Err(error) => break Err(error.into()),
        }
        let now = match source.look() {
            Ok(now) => now,
            Err(error) => break Err(error),
        };
        let view = View::between(&before, &now);
        before = now;
        if let Err(error) = terminal.draw(|frame| draw(frame, &view)) {
            break Err(error.into());
        }
    };
    // However it ended, the terminal belongs to the shell again.
    ratatui::restore();
    outcome
}

/// Whether to go on.
enum Go {
    On,
    End,
}

/// Waits for a key that ends it, at most for the interval.
fn wait(interval: Duration) -> std::io::Result<Go> {
    while event::poll(interval)? {
        let Event::Key(key) = event::read()? else { return Ok(Go::On) };
        let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)) {
            return Ok(Go::End);
        }
    }
    Ok(Go::On)
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let header = plain::header(view);
    let height = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let rows = [Constraint::Length(height), Constraint::Percentage(30), Constraint::Min(5), Constraint::Percentage(25)];
    let [top, stopped, routes, bans] = Layout::vertical(rows).areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines: Vec<Line<'_>> = header.into_iter().map(Line::from).collect();
    if let Some(second) = lines.get_mut(1) {
        *second = std::mem::take(second).style(bold);
    }
    frame.render_widget(Paragraph::new(lines), top);
    let part = |title: String, lines: Vec<String>| {
        let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
        Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(title))
    };
    frame.render_widget(part(String::from(" stopped by "), plain::stopped(view)), stopped);
    let title = format!(" {:<42}{:>10}{:>10}{:>10} ", "slowest routes", "requests", "p50", "p99");
    frame.render_widget(part(title, plain::routes(view)), routes);
    let title = format!(" banned: {}, which refused {} ", view.banned, view.ban_refusals);
    frame.render_widget(part(title, plain::bans(view)), bans);
}
