//! What is told, by name. `docs/reference/metrics.md` lists the same.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use reeve_edge::{HANDSHAKES, Totals};

use crate::keeping::{Keeping, Vitals};

/// All metrics as text; nothing before the gateway serves.
pub(super) fn of(keeping: &Keeping) -> Option<String> {
    let figures = Figures { totals: keeping.totals()?, vitals: keeping.vitals() };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    encode(&mut text, &registry).ok()?;
    Some(text)
}

#[derive(Debug)]
struct Figures {
    totals: Totals,
    vitals: Vitals,
}

impl Collector for Figures {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(&mut to)?;
        self.connections(&mut to)?;
        self.keeping(&mut to)?;
        self.process(&mut to)
    }
}

impl Figures {
    fn requests(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let totals = &self.totals;
        let help = "Requests by the kind of listener, by what became of them and by the class of the status";
        let mut family = to.encode_descriptor("reeve_requests", help, None, MetricType::Counter)?;
        for one in &totals.requests {
            let labels = [("listener", one.listener), ("outcome", one.outcome), ("class", one.class)];
            ConstCounter::new(one.count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Requests that a control refused, or that failed at a part of the way, by its name";
        let mut family = to.encode_descriptor("reeve_requests_stopped", help, None, MetricType::Counter)?;
        for (by, count) in &totals.by_control {
            ConstCounter::new(*count).encode(family.encode_family(&[("by", *by)])?)?;
        }
        let help = "From a request's head to the head of its answer";
        let seconds = Some(&Unit::Seconds);
        let mut family = to.encode_descriptor("reeve_request_duration", help, seconds, MetricType::Histogram)?;
        let mut below = 0;
        let mut buckets: Vec<(f64, u64)> = BUCKETS
            .iter()
            .map(|tenths| {
                let within = totals.durations.within(Duration::from_micros(tenths * 100));
                let more = within - std::mem::replace(&mut below, within);
                (Duration::from_micros(tenths * 100).as_secs_f64(), more)
            })
            .collect();
        let count = totals.durations.count();
        buckets.push((f64::INFINITY, count - below));
        let sum = Duration::from_micros(totals.duration_us).as_secs_f64();
        family.encode_histogram::<NoLabels>(sum, count, &buckets, None)
    }

    fn connections(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let totals = &self.totals;
        counter(to, "reeve_connections_accepted", "Connections that were accepted", totals.accepted)?;
        let help = "Connections that were closed without a word, by the reason";
        let mut family = to.encode_descriptor("reeve_connections_turned_away", help, None, MetricType::Counter)?;
        for (reason, count) in [("ban", totals.turned_away), ("cap", totals.capped)] {
            ConstCounter::new(count).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        gauge(to, "reeve_connections_open", "Connections that are open", totals.open as u64)?;
        let help = "TLS handshakes by version, and those that failed";
        let mut family = to.encode_descriptor("reeve_tls_handshakes", help, None, MetricType::Counter)?;
        for (result, count) in HANDSHAKES.iter().zip(totals.handshakes) {
            ConstCounter::new(count).encode(family.encode_family(&[("result", *result)])?)?;
        }
        gauge(to, "reeve_workers", "Threads that serve", totals.workers as u64)?;
        let help = "Spans of traces: exported to the collector, or dropped";
        let mut family = to.encode_descriptor("reeve_trace_spans", help, None, MetricType::Counter)?;
        for (result, count) in ["exported", "dropped"].into_iter().zip(totals.spans) {
            ConstCounter::new(count).encode(family.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }

    fn keeping(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let vitals = &self.vitals;
        gauge(to, "reeve_bans", "Networks that are banned", vitals.bans)?;
        counter(to, "reeve_bans_refused", "Connections and requests that a ban refused", vitals.bans_refused)?;
        counter(to, "reeve_ledger_entries", "Entries that the ledger has on its disk", vitals.ledger.durable)?;
        gauge(to, "reeve_ledger_queued", "Entries that wait for the disk", vitals.ledger.queued as u64)?;
        let unsealed = vitals.ledger.durable.saturating_sub(vitals.ledger.sealed);
        gauge(to, "reeve_ledger_unsealed", "Entries on the disk that no signed checkpoint covers yet", unsealed)?;
        let failing = u64::from(vitals.ledger.failing.is_some());
        gauge(to, "reeve_ledger_failing", "1 while the ledger can record nothing", failing)?;
        let unsealable = u64::from(vitals.ledger.unsealable.is_some());
        gauge(to, "reeve_ledger_unsealable", "1 while what is recorded cannot be sealed", unsealable)
    }

    fn process(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let vitals = &self.vitals;
        let mut family = to.encode_descriptor("reeve_build", "What runs", None, MetricType::Info)?;
        family.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let help = "Processor time that was used";
        let family = to.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
        ConstCounter::new(vitals.cpu.as_secs_f64()).encode(family)?;
        let help = "Memory that is held";
        let family = to.encode_descriptor("process_resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        ConstGauge::new(vitals.memory_bytes).encode(family)?;
        gauge(to, "process_open_fds", "Open file descriptors", vitals.descriptors)
    }
}

fn counter(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: u64) -> fmt::Result {
    ConstCounter::new(count).encode(to.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstGauge::new(value).encode(to.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Of exemplars, of which there are none.
type NoLabels = [(&'static str, &'static str); 0];

/// Where the histogram's buckets end, in tenths of a millisecond.
const BUCKETS: [u64; 14] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 300_000];
