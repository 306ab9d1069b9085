//! Paths without detours.

/// Empty segments, `.` and `..` are resolved. A relative path keeps the `..` that lead out of it, an absolute one stays
/// within its root; a slash at the end stays, and none is added. `separates` tells what ends a segment: written is `/`.
pub(super) fn normalize(value: &[u8], separates: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let absolute = value.first().is_some_and(|byte| separates(*byte));
    let trailing = value.last().is_some_and(|byte| separates(*byte));
    if absolute {
        out.push(b'/');
    }
    // What stands before this place stays: the root, or the `..` that lead out of a relative path.
    let mut kept = out.len();
    for segment in value.split(|byte| separates(*byte)) {
        match segment {
            b"" | b"." => {}
            b".." if out.len() > kept => remove_last(out, kept),
            b".." if absolute => {}
            b".." => {
                append(out, segment);
                kept = out.len();
            }
            _ => append(out, segment),
        }
    }
    if trailing && !out.is_empty() && !out.ends_with(b"/") {
        out.push(b'/');
    }
}

fn append(out: &mut Vec<u8>, segment: &[u8]) {
    if !out.is_empty() && !out.ends_with(b"/") {
        out.push(b'/');
    }
    out.extend_from_slice(segment);
}

/// Linear over all: each byte is looked at once more at most, and is gone then.
fn remove_last(out: &mut Vec<u8>, kept: usize) {
    let after = out.get(kept..).unwrap_or_default();
    out.truncate(kept + memchr::memrchr(b'/', after).unwrap_or(0));
}
