//! What is kept of the requests with one method to one path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parameter::Pairs;

use super::bodies::{self, Body, Reading};
use super::fields::Fields;
use super::word::Discretion;
use super::yaml::{Block, Tree};
use super::{Room, SURE_MIN};

/// The requests with one method to one path.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) count: u64,
    query: Fields,
    with_body: u64,
    bodies: BTreeMap<String, Body>,
    statuses: BTreeMap<u16, u64>,
}

impl Operation {
    /// Takes a request into account.
    pub(super) fn see(
        &mut self,
        query: &Pairs<'_>,
        reading: Reading<'_>,
        status: u16,
        discretion: &Discretion,
        room: &mut Room,
    ) {
        self.count += 1;
        self.query.see(query, discretion, room);
        self.with_body += u64::from(!matches!(reading, Reading::Nothing));
        bodies::see(&mut self.bodies, reading, discretion, room);
        *self.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.query.merge(other.query);
        self.with_body += other.with_body;
        bodies::merge(&mut self.bodies, other.bodies);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }

    pub(super) fn size(&self) -> usize {
        1 + self.query.size() + self.bodies.values().map(Body::size).sum::<usize>()
    }

    /// Whether both take the same names and kinds, so that they may be one operation on different things.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.query.names().eq(other.query.names()) && self.bodies.keys().eq(other.bodies.keys())
    }

    /// What the document says of it; `path` are the parameters of its path.
    pub(super) fn describe(&self, mut path: Vec<Tree>) -> Block {
        let mut block = Block::default();
        path.extend(self.query.parameters());
        if !path.is_empty() {
            block.put("parameters", path);
        }
        if self.with_body > 0 {
            let mut content = Block::default();
            for (kind, body) in &self.bodies {
                content.put(kind.as_str(), body.media());
            }
            let mut body = Block::default();
            if self.with_body == self.count && self.count >= SURE_MIN {
                body.put("required", true);
            }
            body.put("content", content);
            block.put("requestBody", body);
        }
        let mut responses = Block::default();
        for (status, count) in &self.statuses {
            let mut response = Block::default();
            response.put("description", format!("seen {}", times(*count)));
            responses.put(status.to_string(), response);
        }
        block.put("responses", responses);
        block
    }
}

/// `once`, `twice`, `3 times`.
pub(super) fn times(count: u64) -> String {
    match count {
        1 => String::from("once"),
        2 => String::from("twice"),
        count => format!("{count} times"),
    }
}
