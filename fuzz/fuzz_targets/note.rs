//! What a stranger may send to a witness: no bytes panic its readers, and what is read prints as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_ledger::proof::note::parse_signatures;
use reeve_ledger::proof::{Checkpoint, Note, TileId, VerifierKey};
use reeve_ledger::witness::AddCheckpoint;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes, "a note");
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.to_string().as_bytes(), bytes, "a request");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text, "a checkpoint");
    }
    if let Ok(lines) = parse_signatures(text) {
        assert_eq!(lines.iter().map(ToString::to_string).collect::<String>(), text, "signatures");
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text, "a key");
    }
    if let Ok(tile) = text.parse::<TileId>() {
        assert_eq!(tile.path(), text, "a path");
    }
});
