//! Probes against real servers: a careless and a careful nginx, and servers that do one thing wrong.

// `cfg(test)` is always set here; it tells clippy that the helpers are tests too and may unwrap.
#[cfg(test)]
mod careful;
#[cfg(test)]
mod careless;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod lonely;
#[cfg(test)]
mod report;
