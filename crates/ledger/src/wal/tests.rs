use tempfile::TempDir;

use super::*;

const LEDGER: [u8; 32] = [9; 32];

/// Frames whose bytes look like what they stand for: text, and noise without zeroes.
fn frames(range: std::ops::Range<u64>) -> Vec<Arc<Frame>> {
    let frame = |seq: u64| {
        let noise = |at: u64| u8::try_from((seq * 7919 + at * 104_729) % 255 + 1).unwrap();
        let leaf = format!("{{\"seq\":{seq},\"some\":\"leaf\"}}").into_bytes();
        let day = jiff::civil::date(2026, 3, 1);
        Arc::new(Frame { seq, class: Class::Request, day, leaf, content: (0..90 + seq % 40).map(noise).collect() })
    };
    range.map(frame).collect()
}

fn open(folder: &Path, sealed: u64) -> Result<(Wal, Replay), WalError> {
    Wal::open(folder, LEDGER, sealed, Arc::new(SystemDisk))
}

/// A folder with three batches: 0 and 1, 2 and 3, 4 and 5.
fn three_batches() -> (TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _) = open(folder.path(), 0).unwrap();
    for first in [0, 2, 4] {
        wal.append(&frames(first..first + 2)).unwrap();
    }
    let path = wal.current.path.clone();
    let bytes = fs::read(&path).unwrap();
    (folder, path, bytes)
}

fn replay(folder: &Path) -> Result<Replay, WalError> {
    replay::read(folder, &LEDGER, 0)
}

#[track_caller]
fn check_frames(replay: &Replay, expected: std::ops::Range<u64>) {
    assert!(replay.frames.iter().eq(frames(expected.clone()).iter().map(|frame| &**frame)), "{expected:?}");
}

#[test]
fn what_was_written_comes_back_whole_and_in_order() {
    let (folder, _, _) = three_batches();
    let (mut wal, replay) = open(folder.path(), 0).unwrap();
    check_frames(&replay, 0..6);
    wal.append(&frames(6..9)).unwrap();
    drop(wal);
    let (wal, replay) = open(folder.path(), 3).unwrap();
    check_frames(&replay, 3..9);
    wal.finish(9).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    check_frames(&open(folder.path(), 9).unwrap().1, 9..9);
}

#[test]
fn cut_at_any_byte_it_keeps_the_whole_batches_before_and_says_how_much_is_gone() {
    let (folder, path, whole) = three_batches();
    let mut kept = Vec::new();
    for length in 0..=whole.len() {
        for zeroes in [false, true] {
            let mut bytes = whole[..length].to_vec();
            bytes.resize(if zeroes { whole.len() } else { length }, 0);
            fs::write(&path, &bytes).unwrap();
            let replay = replay(folder.path()).unwrap_or_else(|error| panic!("{length}, {zeroes}: {error}"));
            let count = replay.frames.len() as u64;
            check_frames(&replay, 0..count);
            assert_eq!(count % 2, 0, "a batch is there whole or not at all");
            assert_eq!(fs::metadata(&path).unwrap().len() + replay.cut, bytes.len() as u64);
            kept.push(count);
        }
    }
    assert!(kept.is_sorted() && kept.last() == Some(&6), "{kept:?}");
}

#[test]
fn sectors_that_were_never_written_make_the_last_batch_incomplete_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _) = open(folder.path(), 0).unwrap();
    wal.append(&frames(0..20)).unwrap();
    let border = usize::try_from(wal.current.length).unwrap();
    wal.append(&frames(20..40)).unwrap();
    let whole = fs::read(&wal.current.path).unwrap();
    for sector in whole.len().div_ceil(512) - 3..whole.len() / 512 {
        let mut bytes = whole.clone();
        bytes[sector * 512..(sector + 1) * 512].fill(0);
        fs::write(&wal.current.path, bytes).unwrap();
        assert!(sector * 512 > border, "in the second batch");
        check_frames(&replay(folder.path()).unwrap(), 0..20);
    }
    let mut bytes = whole;
    bytes[1024..1536].fill(0);
    fs::write(&wal.current.path, bytes).unwrap();
    let told = replay(folder.path()).unwrap_err().to_string();
    assert!(told.contains("damaged at byte 69") && told.contains("entries from 0 on were acknowledged"), "{told}");
}

#[test]
fn any_flipped_bit_is_told_with_its_place_and_nothing_is_cut() {
    let (folder, path, whole) = three_batches();
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 1 << (position % 8);
        fs::write(&path, &bytes).unwrap();
        let error = replay(folder.path()).expect_err(&format!("byte {position}"));
        let WalError::Damaged { offset, .. } = error else { panic!("byte {position}: {error}") };
        assert!(offset <= position as u64, "byte {position} is told to be at {offset}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn files_of_another_ledger_and_gaps_are_refused() {
    let (folder, path, _) = three_batches();
    assert!(matches!(Wal::open(folder.path(), [8; 32], 0, Arc::new(SystemDisk)), Err(WalError::Foreign { .. })));
    let (mut wal, _) = open(folder.path(), 0).unwrap();
    wal.append(&frames(6..7)).unwrap();
    fs::remove_file(path).unwrap();
    assert!(matches!(replay(folder.path()), Err(WalError::Gap { expected: 0, found: 6, .. })));
    assert!(replay::read(folder.path(), &LEDGER, 6).is_ok(), "what is sealed may be gone");
}

#[test]
fn a_rescue_counts_when_all_of_it_is_there_and_until_then_the_older_files_do() {
    let (folder, path, whole) = three_batches();
    let (mut wal, _) = open(folder.path(), 0).unwrap();
    // As a failed write leaves it.
    fs::write(&wal.current.path, [fs::read(&wal.current.path).unwrap(), b"BATCH\0half".to_vec()].concat()).unwrap();
    let torn = (wal.current.path.clone(), fs::read(&wal.current.path).unwrap());
    wal.rescue(6, &frames(2..6)).unwrap();
    let rescue = (wal.current.path.clone(), fs::read(&wal.current.path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    check_frames(&replay::read(folder.path(), &LEDGER, 2).unwrap(), 2..6);
    drop(wal);

    for length in 0..=rescue.1.len() {
        fs::write(&path, &whole).unwrap();
        fs::write(&torn.0, &torn.1).unwrap();
        fs::write(&rescue.0, &rescue.1[..length]).unwrap();
        let replay = replay::read(folder.path(), &LEDGER, 2).unwrap_or_else(|error| panic!("{length}: {error}"));
        check_frames(&replay, 2..6);
    }
}

#[test]
fn a_rescue_of_nothing_replaces_the_older_files_too() {
    let (folder, _, _) = three_batches();
    let (mut wal, _) = open(folder.path(), 6).unwrap();
    wal.rescue(6, &[]).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    wal.append(&frames(6..8)).unwrap();
    check_frames(&replay::read(folder.path(), &LEDGER, 6).unwrap(), 6..8);
}

#[test]
fn a_long_file_is_followed_by_another_and_removed_when_it_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wal, _) = open(folder.path(), 0).unwrap();
    let big = |seq| {
        let day = jiff::civil::date(2026, 3, 1);
        Arc::new(Frame { seq, class: Class::Security, day, leaf: vec![b'l'; 200], content: vec![7; 8 * 1024 * 1024] })
    };
    for seq in 0..10 {
        wal.append(&[big(seq)]).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    wal.release(7).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "entry 7 is in it");
    wal.release(8).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(wal);
    assert_eq!(replay::read(folder.path(), &LEDGER, 9).unwrap().frames.len(), 1);
}
