//! Controls on what is recorded and on how what is kept is kept: the ledger and the store.

use reeve_base::Period;

use super::value::{AccessOutcome, OnFailure, SecurityEvent, StorageCipher, SystemChange, equal, higher, lower, more};

control! {
    /// Every administrative act goes to an append-only log with hash chain and signed checkpoints.
    LedgerAppendOnly = "ledger.append_only";
    enforced "an administrative act waits until the ledger has it on disk, and fails if the ledger cannot write";
    proved "does a canary act over the control socket, finds it in the ledger with its inclusion proof, and shows that altered, cut and reordered copies of the ledger's own files do not verify";
    serves ["NIST SP 800-53r5 AU-9", "NIST SP 800-53r5 AU-10", "PCI DSS 4.0.1 10.2.1.2", "ISO 27001:2022 A.8.15", "SOC 2 CC7.2"];
}

control! {
    /// Stored logs cannot be altered, cut or reordered without it being seen.
    LedgerTamper = "ledger.tamper";
    enforced "the ledger is a Merkle tree (RFC 6962) under signed checkpoints, which witnesses on other hosts cosign only if they extend what they saw before";
    proved "reads the ledger's files, computes the root from its entries again, and verifies the signatures of the log and of the witnesses";
    serves ["NIST SP 800-53r5 AU-9(3)", "PCI DSS 4.0.1 10.3.4", "ISO 27001:2022 A.8.15", "SOC 2 CC7.2"];
    /// How many witnesses outside this installation must have cosigned the newest checkpoint.
    witnesses: u16 = 1, higher, from 0, to 9;
}

control! {
    /// Every attempt at access is recorded.
    LogAccess = "log.access";
    enforced "the gateway hands each request, let through or refused, to the ledger; when the ledger cannot take it, requests are refused";
    proved "sends a request that is let through and one that is refused, and finds both in the ledger with their inclusion proofs";
    serves ["NIST SP 800-53r5 AU-2", "NIST SP 800-53r5 AU-12", "PCI DSS 4.0.1 10.2.1", "ISO 27001:2022 A.8.15", "SOC 2 CC7.2"];
    /// Which attempts.
    outcomes: Vec<AccessOutcome> = vec![AccessOutcome::Allow, AccessOutcome::Deny], more;
    /// What becomes of requests while nothing can be recorded.
    on_failure: OnFailure = OnFailure::Refuse, higher;
}

control! {
    /// Changes of the system are recorded: its configuration, what is deployed, the host under it.
    LogSystemChange = "log.system_change";
    enforced "at every start and reload the digests of policy, settings and program and the identity of the host are compared with the last recorded ones, and what changed is recorded before it takes effect";
    proved "computes the digests of policy and program and reads the host's identity by itself, and finds in the ledger that exactly these are the last recorded ones";
    serves ["NIST SP 800-53r5 AU-2", "NIST SP 800-53r5 CM-3", "PCI DSS 4.0.1 10.2.1.7", "ISO 27001:2022 A.8.32"];
    /// Which changes.
    changes: Vec<SystemChange> = vec![SystemChange::Config, SystemChange::Deploy, SystemChange::Host], more;
}

control! {
    /// Security events are recorded: what a control refused, and what raised an alarm.
    LogSecurityEvent = "log.security_event";
    enforced "each refusal by a control goes to the ledger's security trail with the control's name, as does each alarm";
    proved "provokes a refusal and finds it in the security trail under the event id that the refused client was shown";
    serves ["NIST SP 800-53r5 AU-2", "NIST SP 800-53r5 SI-4", "PCI DSS 4.0.1 10.2.1", "ISO 27001:2022 A.8.15"];
    /// Which events.
    events: Vec<SecurityEvent> = vec![SecurityEvent::Alerts, SecurityEvent::Blocks], more;
}

control! {
    /// How the gateway performs is recorded: how many requests, how fast, how many refused, at what cost.
    LogPerf = "log.perf";
    enforced "at the end of each period the gateway records how many requests it answered, refused and failed, within which time half, 95 % and 99 % of them were answered, the processor time and memory that it used, and how far the ledger is behind";
    proved "sends requests, one of which is refused, and waits for the next record: it must be new, join the one before it without a gap, and have counted them";
    serves ["NIST SP 800-53r5 AU-12", "NIST SP 800-53r5 SI-4", "ISO 27001:2022 A.8.6", "SOC 2 A1.1"];
    /// How often.
    every: Period = Period::minutes(1), lower, from Period::seconds(1), to Period::minutes(60);
}

control! {
    /// Request logs are kept no longer than this.
    LogRetention = "log.retention";
    enforced "each day's request log has a key of its own, which is destroyed when the day is this long past";
    proved "looks for days whose key is still there past their time, and asks the ledger for its oldest readable request";
    serves ["GDPR Art. 5(1)(e)", "NIST SP 800-53r5 AU-11", "NIST SP 800-53r5 SI-12", "ISO 27001:2022 A.8.10"];
    /// The longest time from the end of a day to the destruction of its request log.
    keep_at_most: Period = Period::days(30), lower, from Period::days(1), to Period::days(3_650);
}

control! {
    /// Expired logs are purged without anyone's doing.
    LogPurge = "log.purge";
    enforced "the gateway looks for expired days every hour, destroys their keys and segments, and records each purge";
    proved "finds for each expired day that its key and its segments are gone, that the purge is recorded in time, and that the ledger still verifies";
    serves ["GDPR Art. 5(1)(e)", "NIST SP 800-53r5 AU-11", "NIST SP 800-53r5 MP-6", "ISO 27001:2022 A.8.10"];
    /// How soon after its expiry a day is gone.
    within: Period = Period::days(1), lower, from Period::minutes(60), to Period::days(30);
}

control! {
    /// Logs are stored encrypted.
    LogCipher = "log.cipher";
    enforced "the ledger's contents are written only as AES-256-GCM frames under day keys, and an access log in a plain file is refused";
    proved "sends a request with a canary in its path, finds it in the ledger, and searches every file where logs are kept for it; the frames must state AES-256-GCM";
    serves ["NIST SP 800-53r5 AU-9(3)", "NIST SP 800-53r5 SC-28(1)", "PCI DSS 4.0.1 3.5.1", "ISO 27001:2022 A.8.24"];
    /// The cipher.
    cipher: StorageCipher = StorageCipher::Aes256Gcm, equal;
    /// The length of its key in bits.
    bits: u16 = 256, higher, from 256, to 256;
}

control! {
    /// Bodies of requests are never written to disk.
    BodyNoPersist = "body.no_persist";
    enforced "no event has a field for a body, bodies are held in memory only, and the process leaves no core dump";
    proved "sends a body with a canary in it through the gateway and searches every file where things are kept for it; the process must be barred from leaving cores";
    serves ["NIST SP 800-53r5 SI-11", "PCI DSS 4.0.1 3.3.1", "GDPR Art. 5(1)(c)", "ISO 27001:2022 A.8.11"];
}

control! {
    /// The store keeps nothing in clear.
    StoreCipherHeader = "store.cipher_header";
    enforced "every record is sealed with AES-256-GCM-SIV under a key from the vault before the database sees it";
    proved "has a canary stored over the control socket, reads it back, and searches the store's files for it; the sealed records must state their cipher";
    serves ["NIST SP 800-53r5 SC-28(1)", "PCI DSS 4.0.1 3.5.1", "ISO 27001:2022 A.8.24", "SOC 2 CC6.1"];
    /// The length of the key in bits.
    bits: u16 = 256, higher, from 256, to 256;
}
