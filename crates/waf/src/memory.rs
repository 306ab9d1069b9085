//! Collections that outlive their transaction: what rules remember of an address, a session, a user.
//!
//! They live in this process. Of two transactions that change one collection at once, the one that ends last is
//! remembered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::rule::Collection;

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<Name, Remembered>>);

/// Which collection of which subject.
pub(crate) type Name = (Collection, Box<[u8]>);

#[derive(Debug, Clone)]
struct Remembered {
    members: Vec<Member>,
    /// Seconds since 1970.
    until: i64,
}

/// A member of such a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// In lower case.
    pub(crate) name: Box<[u8]>,
    pub(crate) value: Box<[u8]>,
    /// When it is forgotten, in seconds since 1970; with its collection, if nothing is said.
    pub(crate) until: Option<i64>,
}

impl Memory {
    /// What is remembered now.
    pub(crate) fn recall(&self, name: &Name, now: i64) -> Vec<Member> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = memory.get(name).filter(|found| found.until > now) else { return Vec::new() };
        found.members.iter().filter(|member| member.until.is_none_or(|until| until > now)).cloned().collect()
    }

    /// Remembers a collection for so many seconds, in place of what was remembered of it. Past [`COLLECTIONS_MAX`] nothing
    /// new is.
    pub(crate) fn keep(&self, name: Name, mut members: Vec<Member>, now: i64, seconds: u32) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() >= COLLECTIONS_MAX && !memory.contains_key(&name) {
            memory.retain(|_, kept| kept.until > now);
            if memory.len() >= COLLECTIONS_MAX {
                return;
            }
        }
        members.retain(|member| member.value.len() <= VALUE_BYTES_MAX);
        members.truncate(MEMBERS_MAX);
        memory.insert(name, Remembered { members, until: now.saturating_add(i64::from(seconds)) });
    }
}

/// Bounds of what is remembered; together at most some hundred megabytes, and usually a hundred bytes for each address.
const COLLECTIONS_MAX: usize = 100_000;
const MEMBERS_MAX: usize = 32;
const VALUE_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn member(value: &str, until: Option<i64>) -> Member {
        Member { name: (*b"n").into(), value: value.as_bytes().into(), until }
    }

    #[test]
    fn is_remembered_until_its_time_is_over() {
        let memory = Memory::default();
        let name: Name = (Collection::Ip, (*b"192.0.2.1").into());
        memory.keep(name.clone(), vec![member("1", None), member("2", Some(120))], 100, 60);
        assert_eq!(memory.recall(&name, 110).len(), 2);
        assert_eq!(memory.recall(&name, 120), [member("1", None)]);
        assert!(memory.recall(&name, 160).is_empty());
        assert!(memory.recall(&(Collection::User, name.1), 110).is_empty());
    }
}
