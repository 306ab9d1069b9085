//! What a link does when it matches.

use std::sync::Arc;

use super::Run;
use crate::program::{Deed, Key, Plan, Step};
use crate::rule::{Change, Collection, Control, Text};
use crate::store::{Held, as_number, number};
use crate::variable::Variable;

impl Run<'_> {
    pub(super) fn effects(&mut self, link: &Plan, step: &Step) {
        for deed in &link.effects {
            match deed {
                Deed::Number(slot, number) => self.state.store.set(*slot, Some(Held::Number(*number))),
                Deed::Set { collection, key, change, scores } => {
                    let by = self.assign(*collection, key, change, step);
                    self.state.added = self.state.added.saturating_add(if *scores { by } else { 0 });
                }
                Deed::RemoveRules(meant) => self.state.remove(meant),
                Deed::RemoveTarget(meant, exception) => {
                    if self.state.excepted.len() < EXCEPTED_MAX {
                        self.state.except(Arc::clone(meant), Arc::clone(exception));
                    }
                }
                Deed::Control(control) => self.control(control),
                Deed::Open { collection, key } => self.open(*collection, key, step),
                Deed::Expire { collection, key, seconds } => {
                    let name = self.expand(key, Some(step)).to_ascii_lowercase();
                    let until = self.now.saturating_add(number(&self.expand(seconds, Some(step))));
                    if self.state.expiring.len() < EXCEPTED_MAX {
                        self.state.expiring.push((*collection, name.into(), until));
                    }
                }
            }
        }
    }

    /// `initcol`: what is remembered under this key is a collection of the transaction from now on.
    pub(super) fn open(&mut self, collection: Collection, key: &Text, step: &Step) {
        let name = (collection, self.expand(key, Some(step)).into_boxed_slice());
        if self.state.opened.contains(&name) || self.state.opened.len() >= OPENED_MAX {
            return;
        }
        for member in self.memory.recall(&name, self.now) {
            let held = self.held(&member.value);
            self.state.store.put(&self.program.names, collection, &member.name, Some(held));
            if let Some(until) = member.until {
                self.state.expiring.push((collection, member.name, until));
            }
        }
        self.state.opened.push(name);
    }

    pub(super) fn held(&mut self, text: &[u8]) -> Held {
        as_number(text).map_or_else(|| Held::Text(self.state.values.of(text)), Held::Number)
    }

    pub(super) fn control(&mut self, control: &Control) {
        match control {
            Control::RuleEngine(mode) => self.course.mode = *mode,
            Control::RequestBodyAccess(access) => self.course.request_body_access = *access,
            Control::ResponseBodyAccess(access) => self.course.response_body_access = *access,
            Control::RequestBodyProcessor(processor) => {
                self.course.processor = Some(*processor);
                let name = self.state.values.of(processor.name().as_bytes());
                self.state.collections.set(Variable::ReqbodyProcessor, name);
            }
            Control::ForceRequestBodyVariable(force) => self.course.force_request_body = *force,
            // There is no audit log beside the events, and removals were compiled to deeds of their own.
            Control::AuditEngine | Control::AuditLogParts | Control::RemoveRules(_) | Control::RemoveTarget(..) => {}
        }
    }

    /// Writes a member. By how much a number has grown.
    pub(super) fn assign(&mut self, collection: Collection, key: &Key, change: &Change, step: &Step) -> i64 {
        let mut grown = 0;
        let name = match key {
            Key::Known(_) => Vec::new(),
            Key::Made(text) => self.expand(text, Some(step)).to_ascii_lowercase(),
        };
        let names = &self.program.names;
        let held = match change {
            Change::Unset => None,
            Change::Set(text) => {
                let text = self.expand(text, Some(step));
                Some(self.held(&text))
            }
            Change::Add(text) | Change::Subtract(text) => {
                let by = number(&self.expand(text, Some(step)));
                let before = match key {
                    Key::Known(slot) => self.state.store.get(*slot),
                    Key::Made(_) => self.state.store.find(names, collection, &name),
                };
                let before = before.map_or(0, |held| held.number(&self.state.values));
                grown = if matches!(change, Change::Subtract(_)) { by.saturating_neg() } else { by };
                Some(Held::Number(before.saturating_add(grown)))
            }
        };
        match key {
            Key::Known(slot) => self.state.store.set(*slot, held),
            Key::Made(_) => self.state.store.put(names, collection, &name, held),
        }
        grown
    }
}

const EXCEPTED_MAX: usize = 1_000;

/// Collections of one transaction: of an address, a session, a user, and what else rules think of.
const OPENED_MAX: usize = 32;
