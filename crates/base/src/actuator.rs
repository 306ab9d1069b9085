//! The seam between what notices that an address misbehaves and what can do something about it.

use std::net::IpAddr;
use std::time::Duration;

/// Acts on addresses. The gateway's ban table is one.
pub trait Actuator: Send + Sync {
    /// Counts one offence of `address` under the rule called `rule`, which happened `age` ago. What follows from it is
    /// the rule's to say. Never waits.
    fn offence(&self, rule: &str, address: IpAddr, age: Duration);
}
