//! What the process says to whoever started it.

use reeve_base::verdict::Conclusion;

/// The exit codes of all verbs. Scripts and pipelines build on them, so they never change their meaning.
///
/// Ordered so that the greatest of many files' codes is that of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExitCode {
    /// 0: it was done, or what was judged holds.
    Holds,
    /// 1: it was judged and found wanting.
    FoundWanting,
    /// 2: it could not be judged or done: wrong usage, an unreadable file, an unreachable target.
    CouldNotJudge,
}

impl From<Conclusion> for ExitCode {
    fn from(conclusion: Conclusion) -> Self {
        match conclusion {
            Conclusion::Holds => Self::Holds,
            Conclusion::FoundWanting => Self::FoundWanting,
            Conclusion::CouldNotJudge => Self::CouldNotJudge,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Holds => 0,
            ExitCode::FoundWanting => 1,
            ExitCode::CouldNotJudge => 2,
        })
    }
}
