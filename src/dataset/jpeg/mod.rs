//! Checks whether a JPEG contains all of its pixels (ITU-T T.81). Decoders fill missing data with grey and report nothing, and the last two
//! bytes prove little: cameras append data after the end marker, and a file without one may still be complete. So the entropy-coded data is
//! walked block by block, without computing pixels.

mod bits;
mod frame;
mod scan;

use bits::Stop;
use frame::Frame;
use scan::{Scan, Tables};

/// The state of a JPEG's entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Every block is present. The data ends at `end`, and an end marker follows directly if `is_ended`.
    Whole { end: usize, is_ended: bool },
    /// Blocks are missing.
    Truncated,
    /// Unknown: another kind of JPEG (lossless, arithmetic), or damaged data. `is_ended`: an end marker follows the data.
    Unknown { is_ended: bool },
}

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const HUFFMAN_TABLES: u8 = 0xC4;
const RESTART_INTERVAL: u8 = 0xDD;

/// Walks the JPEG in `bytes`. Memory: 8 bytes per 64-pixel block of a progressive JPEG, whose dimensions are checked first.
pub(super) fn completeness(bytes: &[u8]) -> Completeness {
    match walk(bytes) {
        Ok(found) => found,
        Err(Stop::Short) => Completeness::Truncated,
        Err(Stop::Damaged) => Completeness::Unknown { is_ended: has_end_marker(bytes) },
    }
}

fn walk(bytes: &[u8]) -> Result<Completeness, Stop> {
    let mut frame: Option<Frame> = None;
    let mut tables = Tables::default();
    let mut at = 2;
    loop {
        let Some((marker, after)) = next_marker(bytes, at) else { return Err(Stop::Short) };
        at = after;
        match marker {
            // Another image starts: this one ended without its marker and was incomplete.
            START_OF_IMAGE if frame.is_some() => return Err(Stop::Short),
            START_OF_IMAGE | 0x01 | 0xD0..=0xD7 => continue,
            // A progressive image whose encoder omitted the last refinements is complete too.
            END_OF_IMAGE if frame.as_ref().is_some_and(Frame::has_all_components) => {
                return Ok(Completeness::Whole { end: at - 2, is_ended: true });
            }
            END_OF_IMAGE => return Err(Stop::Short),
            _ => {}
        }
        let segment = segment(bytes, at).ok_or(Stop::Short)?;
        at += 2 + segment.len();
        match marker {
            0xC0..=0xC2 => frame = Some(Frame::parse(segment, marker == 0xC2).ok_or(Stop::Damaged)?),
            HUFFMAN_TABLES => tables.define(segment).ok_or(Stop::Damaged)?,
            RESTART_INTERVAL => tables.restart_interval = usize::from(be16(segment).ok_or(Stop::Damaged)?),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(Stop::Damaged),
            START_OF_SCAN => {
                let frame = frame.as_mut().ok_or(Stop::Damaged)?;
                let scan = Scan::parse(segment, frame).ok_or(Stop::Damaged)?;
                at = scan.walk(frame, &tables, bytes, at)?;
                if frame.is_complete() {
                    let is_ended = bytes.get(at..at + 2) == Some(&[0xFF, END_OF_IMAGE]);
                    if !is_ended && is_padded(bytes, at) {
                        return Err(Stop::Short);
                    }
                    return Ok(Completeness::Whole { end: at, is_ended });
                }
            }
            _ => {}
        }
    }
}

/// Whether data that ends at `end` without an end marker ran into zeros, which are valid codes: a broken copy was padded with them.
fn is_padded(bytes: &[u8], end: usize) -> bool {
    let (before, after) = bytes.split_at(end);
    before.ends_with(&[0; 4]) || (before.ends_with(&[0]) && after.starts_with(&[0]))
}

/// Returns the next marker's code at or after `at`, and the start of its segment.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)? + 1;
        match bytes.get(at)? {
            // Stuffed data or fill bytes.
            0x00 | 0xFF => {}
            &marker => return Some((marker, at + 1)),
        }
    }
}

/// Returns the content of the segment whose length is at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(be16(bytes.get(at..)?)?);
    bytes.get(at + 2..at + length.max(2))
}

fn be16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|&pair| u16::from_be_bytes(pair))
}

/// Whether there is an end marker outside all segments. A thumbnail inside EXIF has its own, which does not count.
fn has_end_marker(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some((marker, after)) = next_marker(bytes, at) {
        at = match marker {
            END_OF_IMAGE => return true,
            0x01 | 0xD0..=START_OF_IMAGE => after,
            _ => match segment(bytes, after) {
                Some(segment) => after + 2 + segment.len(),
                None => return false,
            },
        };
    }
    false
}
