use jiff::civil::date;

use super::*;
use crate::log::Class;
use crate::shelf::FolderShelf;

fn frame(seq: u64, class: Class, length: usize) -> Arc<Frame> {
    Arc::new(Frame { seq, class, day: date(2026, 3, 1), leaf: Vec::new(), content: vec![filler(seq); length] })
}

fn names(growth: &Growth) -> Vec<&str> {
    growth.objects.iter().map(|object| object.path.rsplit('/').next().unwrap()).collect()
}

fn filler(seq: u64) -> u8 {
    u8::try_from(seq).unwrap()
}

const R: Class = Class::Request;

#[test]
fn a_small_segment_is_written_again_longer_until_it_is_grown() {
    let mut growing = Growing::default();
    let first = growing.grow(&[frame(0, R, 10), frame(1, Class::Security, 10), frame(2, R, 10)]);
    assert_eq!(
        names(&first),
        ["00000000000000000000-00000000000000000002.enc", "00000000000000000001-00000000000000000001.enc"]
    );
    assert!(first.outgrown.is_empty());
    let second = growing.grow(&[frame(3, R, GROWN_BYTES)]);
    assert_eq!(names(&second), ["00000000000000000000-00000000000000000003.enc"]);
    assert_eq!(second.outgrown, ["body/request/2026-03-01/00000000000000000000-00000000000000000002.enc"]);
    let third = growing.grow(&[frame(4, R, 10)]);
    assert_eq!(names(&third), ["00000000000000000004-00000000000000000004.enc"]);
    assert!(third.outgrown.is_empty(), "it was grown, and stays");
}

#[test]
fn a_large_seal_makes_several_segments_and_every_entry_is_in_one() {
    let frames: Vec<_> = (0..30).map(|seq| frame(seq, R, WHOLE_BYTES / 10)).collect();
    let growth = Growing::default().grow(&frames);
    assert_eq!(growth.objects.len(), 3);
    let mut seen: Vec<u64> = Vec::new();
    for object in &growth.objects {
        assert!(object.bytes.len() < WHOLE_BYTES + WHOLE_BYTES / 9);
        for (seq, content) in decode(&object.bytes).unwrap() {
            assert!(content.iter().all(|byte| *byte == filler(seq)));
            seen.push(seq);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
}

#[test]
fn the_same_frames_give_the_same_segments() {
    let frames: Vec<_> = (0..50).map(|seq| frame(seq, if seq % 3 == 0 { R } else { Class::Security }, 3000)).collect();
    let at_once = Growing::default().grow(&frames);
    let again = Growing::default().grow(&frames);
    assert_eq!(at_once.objects, again.objects);
}

#[test]
fn a_segment_that_was_cut_is_none() {
    let growth = Growing::default().grow(&[frame(0, R, 10), frame(1, R, 10)]);
    let bytes = &growth.objects[0].bytes;
    for length in 0..bytes.len() {
        let whole = length == MAGIC.len() || length == MAGIC.len() + 22;
        assert_eq!(decode(&bytes[..length]).is_some(), whole, "{length} bytes");
    }
}

#[test]
fn names_that_are_no_segments_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let shelf = FolderShelf::new(home.path());
    let _lock = shelf.lock().unwrap();
    let of = ClassDay { class: R, day: date(2026, 3, 1) };
    for name in ["x.enc", "1-.enc", "00000000000000000005-00000000000000000007.enc", "7"] {
        shelf.put(&[Object { path: format!("{}/{name}", folder(of)), bytes: vec![1] }]).unwrap();
    }
    assert_eq!(spans(&shelf, of).unwrap(), [Span { first: 5, last: 7 }]);
    assert_eq!(path(of, 5, 7), "body/request/2026-03-01/00000000000000000005-00000000000000000007.enc");
}
