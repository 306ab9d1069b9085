//! What an auditor reads of a ledger that is not to be trusted: bundles, leaves, the proof of an entry.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_ledger::proof::{EntryProof, Leaf, bundle};

fuzz_target!(|bytes: &[u8]| {
    if let Some((width, bytes)) = bytes.split_first()
        && let Ok(entries) = bundle::decode(bytes, u16::from(*width))
    {
        assert_eq!(entries.len(), usize::from(*width));
        assert_eq!(bundle::encode(&entries).as_deref(), Ok(bytes), "a bundle");
    }
    if let Ok(leaf) = Leaf::parse(bytes) {
        assert_eq!(leaf.print().as_deref(), Ok(bytes), "a leaf");
    }
    if let Ok(proof) = EntryProof::parse(bytes) {
        assert_eq!(EntryProof::parse(proof.to_string().as_bytes()).as_ref(), Ok(&proof), "a proof");
    }
});
