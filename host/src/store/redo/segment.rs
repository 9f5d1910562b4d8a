//! A file of the redo log: frames, one after the other, in memory that is the file.
//!
//! The whole file is written once before it is used, so that the disk has room for it and
//! its pages are in memory: appending then copies bytes, and neither calls the system nor
//! waits for a file system that is busy with somebody's sync. What was copied survives the
//! death of the process; syncing it makes it survive the loss of power.
//!
//! A frame is its length, a check, its sequence number, its bytes. Numbers go up by one,
//! and a frame counts only if its check is right: what follows the last one, old frames
//! of a file that is used again or half of one that was being copied, is none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use memmap2::MmapRaw;

use crate::store::rows;

const MAGIC: [u8; 8] = *b"HKSWREDO";
const HEADER: usize = 24;
const FRAME_HEADER: usize = 16;

/// Zeros are written in pieces of this size.
const PIECE: usize = 1 << 20;

/// A file that is open to append to.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    memory: Arc<MmapRaw>,
    /// Bytes that are used.
    end: usize,
    /// It is not to be trusted any more, and takes nothing.
    spoilt: bool,
}

/// What does not fit any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Segment {
    /// Makes a file of so many bytes.
    pub(super) fn create(path: &Path, size: usize) -> io::Result<Self> {
        let made = Self::fill(path, size).and_then(|file| Self::map(path.to_owned(), &file));
        if made.is_err() {
            // Part of it may be there, and takes room that is short.
            let _ = fs::remove_file(path);
        }
        made
    }

    fn fill(path: &Path, size: usize) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let mut file = options.open(path)?;
        let zeros = vec![0; PIECE.min(size)];
        let mut left = size;
        while left > 0 {
            let piece = left.min(PIECE);
            file.write_all(&zeros[..piece])?;
            left -= piece;
        }
        // Its blocks belong to it from now on, so that syncs of what is appended have
        // nothing else to write.
        file.sync_all()?;
        Ok(file)
    }

    fn map(path: PathBuf, file: &File) -> io::Result<Self> {
        let memory = MmapRaw::map_raw(file)?;
        // Each page is made writable now, not when something is appended. Where the
        // system cannot do that (Linux can from 5.14 on), appending is only slower.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::PopulateWrite);
        Ok(Self {
            path,
            memory: Arc::new(memory),
            end: 0,
            spoilt: false,
        })
    }

    /// How large a file has to be for something.
    pub(super) fn size_for(bytes: usize) -> usize {
        bytes.saturating_add(HEADER + FRAME_HEADER)
    }

    pub(super) fn size(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Takes nothing more, because the disk has refused it.
    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// Begins it, or begins it again: its first frame has that number.
    pub(super) fn begin(&mut self, first: u64) {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&rows::FORMAT.to_le_bytes());
        header[12..16].copy_from_slice(&check_of(first, rows::FORMAT, 0).to_le_bytes());
        header[16..].copy_from_slice(&first.to_le_bytes());
        self.end = 0;
        self.copy(&header);
    }

    /// Appends a frame. It is there once this returns.
    pub(super) fn append(&mut self, sequence: u64, bytes: &[u8], check: u32) -> Result<(), Full> {
        let (Some(end), Ok(length)) = (
            self.end.checked_add(FRAME_HEADER + bytes.len()),
            u32::try_from(bytes.len()),
        ) else {
            return Err(Full);
        };
        if end > self.memory.len() || self.spoilt {
            return Err(Full);
        }
        let mut header = [0; FRAME_HEADER];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..8].copy_from_slice(&check_of(sequence, length, check).to_le_bytes());
        header[8..].copy_from_slice(&sequence.to_le_bytes());
        self.copy(&header);
        self.copy(bytes);
        Ok(())
    }

    /// Copies to where the file ends so far. The caller has seen that there is room.
    #[allow(unsafe_code)]
    fn copy(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        assert!(end <= self.memory.len(), "a frame is longer than its file");
        // SAFETY: the target lies inside of the mapping (asserted above), which only this
        // value writes to, and it has it exclusively. The file is the server's own, in a
        // folder that it has locked, and is never made shorter while it is mapped.
        unsafe {
            let target = self.memory.as_mut_ptr().add(self.end);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
        self.end = end;
    }

    /// By which it can be synced while it is appended to.
    pub(super) fn memory(&self) -> &Arc<MmapRaw> {
        &self.memory
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Of a frame's bytes: computed before it is known where it goes.
pub(super) fn check(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn check_of(sequence: u64, length: u32, of_bytes: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(&of_bytes.to_le_bytes());
    hasher.finalize()
}

/// A file that a process has left behind.
#[derive(Debug)]
pub(super) struct Left {
    bytes: Vec<u8>,
    first: u64,
}

/// A file is not one that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OtherFormat(pub(super) u32);

impl Left {
    /// Reads a file; none if it was never begun.
    pub(super) fn read(path: &Path) -> io::Result<Result<Option<Self>, OtherFormat>> {
        Ok(Self::of(fs::read(path)?))
    }

    fn of(bytes: Vec<u8>) -> Result<Option<Self>, OtherFormat> {
        let Some((MAGIC, rest)) = bytes
            .split_first_chunk()
            .map(|(magic, rest)| (*magic, rest))
        else {
            return Ok(None);
        };
        let (Some(format), Some(check), Some(first)) =
            (u32_at(rest, 0), u32_at(rest, 4), u64_at(rest, 8))
        else {
            return Ok(None);
        };
        if check != check_of(first, format, 0) {
            return Ok(None);
        }
        if format != rows::FORMAT {
            return Err(OtherFormat(format));
        }
        Ok(Some(Self { bytes, first }))
    }

    /// The number of its first frame.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Its frames: number and bytes.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut rest = self.bytes.get(HEADER..).unwrap_or_default();
        (self.first..).map_while(move |sequence| {
            let length = u32_at(rest, 0)?;
            let frame = rest.get(FRAME_HEADER..)?.get(..length as usize)?;
            let right = u64_at(rest, 8)? == sequence
                && u32_at(rest, 4)? == check_of(sequence, length, check(frame));
            if !right {
                return None;
            }
            rest = &rest[FRAME_HEADER + frame.len()..];
            Some((sequence, frame))
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn append(segment: &mut Segment, sequence: u64, bytes: &[u8]) -> Result<(), Full> {
        segment.append(sequence, bytes, check(bytes))
    }

    fn frames(path: &Path) -> Vec<(u64, Vec<u8>)> {
        let left = Left::read(path).unwrap().unwrap();
        let left = left.as_ref().map(Left::frames).into_iter().flatten();
        left.map(|(sequence, bytes)| (sequence, bytes.to_vec()))
            .collect()
    }

    #[test]
    fn frames_are_read_as_they_were_appended_and_old_ones_do_not_follow_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        let mut segment = Segment::create(&path, 4096).unwrap();
        assert_eq!(frames(&path), [], "not begun");
        segment.begin(7);
        for (sequence, bytes) in [(7, b"seven".as_slice()), (8, b""), (9, b"nine")] {
            append(&mut segment, sequence, bytes).unwrap();
        }
        let expected = [
            (7, b"seven".to_vec()),
            (8, Vec::new()),
            (9, b"nine".to_vec()),
        ];
        assert_eq!(frames(&path), expected);
        segment.begin(10);
        append(&mut segment, 10, b"SEVEN").unwrap();
        assert_eq!(frames(&path), [(10, b"SEVEN".to_vec())]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        let mut segment = Segment::create(&path, Segment::size_for(10)).unwrap();
        segment.begin(1);
        assert_eq!(append(&mut segment, 1, &[7; 11]), Err(Full));
        append(&mut segment, 1, &[7; 10]).unwrap();
        assert_eq!(append(&mut segment, 2, b""), Err(Full));
        assert_eq!(frames(&path), [(1, vec![7; 10])]);
    }

    #[test]
    fn a_file_of_another_format_is_told_from_one_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        Segment::create(&path, 100).unwrap().begin(1);
        let mut bytes = fs::read(&path).unwrap();
        let other = rows::FORMAT + 1;
        bytes[8..12].copy_from_slice(&other.to_le_bytes());
        assert!(
            Left::of(bytes.clone()).unwrap().is_none(),
            "its check is wrong"
        );
        bytes[12..16].copy_from_slice(&check_of(1, other, 0).to_le_bytes());
        assert_eq!(Left::of(bytes).unwrap_err(), OtherFormat(other));
    }

    proptest! {
        #[test]
        fn of_a_file_that_breaks_anywhere_the_frames_before_are_read(
            sizes in proptest::collection::vec(0_usize..200, 1..20),
            at: prop::sample::Index,
            to: u8,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("1");
            let mut segment = Segment::create(&path, 1 << 13).unwrap();
            segment.begin(1);
            let (mut sequence, mut ends) = (0, Vec::new());
            for size in sizes {
                sequence += 1;
                append(&mut segment, sequence, &vec![sequence as u8; size]).unwrap();
                ends.push(segment.end());
            }
            let whole = frames(&path);
            let mut bytes = fs::read(&path).unwrap();
            let at = HEADER + at.index(segment.end() - HEADER);
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let left = Left::of(bytes).unwrap().unwrap();
            let read: Vec<_> = left.frames().map(|(n, bytes)| (n, bytes.to_vec())).collect();
            let unhurt = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(&read[..], &whole[..unhurt]);
        }

        #[test]
        fn any_bytes_have_an_end(bytes: Vec<u8>) {
            if let Ok(Some(left)) = Left::of(bytes) {
                prop_assert!(left.frames().count() < 1 << 10);
            }
        }
    }
}
