//! What a transaction holds for rules to look at, by variable.

use crate::arena::Member;
use crate::program::Matcher;
use crate::values::{EMPTY, ValueId, Values};
use crate::variable::Variable;

/// One member: what it is called and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: ValueId,
    pub(crate) value: ValueId,
}

/// Collections with names, as they are kept. Others are made of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Get,
    Post,
    RequestHeaders,
    Cookies,
    Files,
    FileSizes,
    PartHeaders,
    XmlText,
    XmlAttributes,
    ResponseHeaders,
}

const KEPT: usize = 10;

/// What rules look at, but for what they write themselves.
#[derive(Debug, Default)]
pub(crate) struct Collections {
    kept: [Vec<Entry>; KEPT],
    /// By the number of the variable.
    single: Vec<Option<ValueId>>,
    /// What has changed since the last [`settle`](Self::settle).
    kept_changed: [bool; KEPT],
    single_changed: Vec<bool>,
}

impl Collections {
    pub(crate) fn clear(&mut self) {
        for entries in &mut self.kept {
            entries.clear();
            entries.shrink_to(ENTRIES_ROOM_MAX);
        }
        self.single.clear();
        self.single.resize(Variable::COUNT, None);
        self.kept_changed = [true; KEPT];
        self.single_changed.clear();
        self.single_changed.resize(Variable::COUNT, true);
    }

    /// Whether what a variable is made of has changed since the last [`settle`](Self::settle).
    pub(crate) fn has_changed(&self, variable: Variable) -> bool {
        match sources(variable) {
            Some((sources, _)) => sources.iter().any(|kept| self.kept_changed.get(*kept as usize) == Some(&true)),
            None => self.single_changed.get(variable as usize) == Some(&true),
        }
    }

    /// From here on, nothing has changed.
    pub(crate) fn settle(&mut self) {
        self.kept_changed.fill(false);
        self.single_changed.fill(false);
    }

    pub(crate) fn set(&mut self, variable: Variable, value: ValueId) {
        if let Some(place) = self.single.get_mut(variable as usize) {
            if *place != Some(value)
                && let Some(changed) = self.single_changed.get_mut(variable as usize)
            {
                *changed = true;
            }
            *place = Some(value);
        }
    }

    pub(crate) fn single(&self, variable: Variable) -> Option<ValueId> {
        *self.single.get(variable as usize)?
    }

    pub(crate) fn add(&mut self, to: Kept, name: ValueId, value: ValueId) {
        if let Some(entries) = self.kept.get_mut(to as usize) {
            entries.push(Entry { name, value });
        }
        if let Some(changed) = self.kept_changed.get_mut(to as usize) {
            *changed = true;
        }
    }

    pub(crate) fn add_all(&mut self, to: Kept, members: &[Member], values: &mut Values) {
        for member in members {
            let (name, value) = (values.at(member.name), values.at(member.value));
            self.add(to, name, value);
        }
    }

    pub(crate) fn entries(&self, of: Kept) -> &[Entry] {
        self.kept.get(of as usize).map_or(&[], Vec::as_slice)
    }

    /// Puts the members of a variable that have a fitting name behind those in `out`.
    pub(crate) fn gather(&self, variable: Variable, matcher: &Matcher, values: &Values, out: &mut Vec<Entry>) {
        let Some((sources, names)) = sources(variable) else {
            out.extend(self.single(variable).map(|value| Entry { name: EMPTY, value }));
            return;
        };
        for source in sources {
            for entry in self.entries(*source) {
                if matcher.takes(values.text(entry.name)) {
                    let value = if names { entry.name } else { entry.value };
                    out.push(Entry { name: entry.name, value });
                }
            }
        }
    }
}

/// The collections that a variable is made of, and whether it is their names. None: it is one value.
fn sources(variable: Variable) -> Option<(&'static [Kept], bool)> {
    Some(match variable {
        Variable::Args => (&[Kept::Get, Kept::Post], false),
        Variable::ArgsNames => (&[Kept::Get, Kept::Post], true),
        Variable::ArgsGet => (&[Kept::Get], false),
        Variable::ArgsGetNames => (&[Kept::Get], true),
        Variable::ArgsPost => (&[Kept::Post], false),
        Variable::ArgsPostNames => (&[Kept::Post], true),
        Variable::RequestHeaders => (&[Kept::RequestHeaders], false),
        Variable::RequestHeadersNames => (&[Kept::RequestHeaders], true),
        Variable::RequestCookies => (&[Kept::Cookies], false),
        Variable::RequestCookiesNames => (&[Kept::Cookies], true),
        Variable::Files => (&[Kept::Files], false),
        Variable::FilesNames => (&[Kept::Files], true),
        Variable::FilesSizes => (&[Kept::FileSizes], false),
        Variable::MultipartFilename => (&[Kept::Files], false),
        Variable::MultipartName => (&[Kept::Files], true),
        Variable::MultipartPartHeaders => (&[Kept::PartHeaders], false),
        Variable::XmlText => (&[Kept::XmlText], false),
        Variable::XmlAttributes => (&[Kept::XmlAttributes], false),
        Variable::ResponseHeaders => (&[Kept::ResponseHeaders], false),
        Variable::ResponseHeadersNames => (&[Kept::ResponseHeaders], true),
        _ => return None,
    })
}

const ENTRIES_ROOM_MAX: usize = 1_024;
