//! What a run shows while it works, on standard error: a bar on a terminal, a line for each probe elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reeve_prove::Progress;

use crate::screen::{Screen, Volume};

/// Watches one run.
pub(crate) struct Watcher<'s> {
    screen: &'s Screen,
    bar: ProgressBar,
}

impl<'s> Watcher<'s> {
    pub(crate) fn new(screen: &'s Screen) -> Self {
        let target = match screen.volume() {
            Volume::Normal => ProgressDrawTarget::stderr(),
            Volume::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Self { screen, bar }
    }

    pub(crate) fn take(&self, progress: Progress) {
        match progress {
            Progress::Began { probes } => self.bar.set_length(probes as u64),
            Progress::Started { control, .. } => self.bar.set_message(control.to_string()),
            Progress::Finished { control, verdict, .. } => {
                self.bar.inc(1);
                if self.bar.is_hidden() {
                    let done = self.bar.position();
                    let all = self.bar.length().unwrap_or(done);
                    self.screen.talk(format_args!("  {done:>2}/{all} {control}: {}", verdict.word()));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
