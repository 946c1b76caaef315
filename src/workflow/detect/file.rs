//! The file format of a shard, or of a whole image list in progress: a JSON line with its identity, a line per image, and a final line with
//! a checksum, without which a file is incomplete. The same work gives the same bytes on the same machine.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Shard;
use crate::detector::{LabelledDetection, Precision};
use crate::domain::{ClassId, Detection, ROI_FEATURE_LENGTH, RoiFeature, limits, open_regular};
use crate::geometry::{BoundingBox, Ellipse};
use crate::workflow::WorkflowError;

/// An object with its detector features.
pub(in crate::workflow) type Seen = (Detection, Option<RoiFeature>);

const FORMAT: &str = "quarry shard";
const VERSION: u32 = 1;

/// The kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::workflow) enum Work {
    /// A round's training images.
    Mine,
    /// A list of images.
    Detect,
}

/// The third-party model that a project's images are mined with, as far as a merge needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workflow) struct ModelHeader {
    /// The user's name for it.
    pub name: String,
    /// The file name.
    pub file: String,
    /// A hash of the file's bytes and its description.
    pub identity: String,
    /// How images are fed to the network.
    pub input: String,
    /// Class names of the project, if they differ from the model's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
    pub min_score: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_splits: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_dataset: Option<String>,
}

/// The first line. Files of one run differ only in `shard`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workflow) struct Header {
    pub format: String,
    pub version: u32,
    pub work: Work,
    pub shard: u32,
    pub of: u32,
    /// Identifies the checkpoint and its settings.
    pub identity: String,
    /// Identifies the list of all images, of every shard.
    pub images: String,
    /// The length of that list.
    pub count: u64,
    /// The round being mined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The third-party model whose next round this becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelHeader>,
    /// The detector's labels, from 1.
    pub classes: Vec<String>,
    /// Whether detections include ellipses.
    pub ellipses: bool,
    /// The network's precision.
    pub precision: Precision,
}

/// An image of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workflow) struct ImageLine {
    /// Index from 0 among the images of all shards.
    pub place: u64,
    /// In an image list; images of a round are identified by content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// blake3 of the content; for an unreadable image the project's hash, or empty.
    pub image: String,
    /// `label score x1 y1 x2 y2`, or with an ellipse `... ra rb theta cx cy`: as text, so that the numbers are bit-exact. `None` if the
    /// image could not be read.
    pub detections: Option<Vec<String>>,
    /// The detector features of each in hex; empty for features without a direction. Omitted if not requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// The final line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lines: u64,
    /// blake3 of everything before this line, lower-case hex.
    checksum: String,
}

impl Header {
    pub fn new(work: Work, shard: Shard, identity: String, images: String, count: usize) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            work,
            shard: shard.number,
            of: shard.of,
            identity,
            images,
            count: count as u64,
            round: None,
            model: None,
            classes: Vec::new(),
            ellipses: false,
            precision: Precision::F32,
        }
    }

    /// Returns the header without the shard's number: equal in all files of a run.
    pub fn of_run(&self) -> Self {
        Self { shard: 0, ..self.clone() }
    }

    fn check(self, path: &Path) -> Result<Self, WorkflowError> {
        if self.format != FORMAT {
            return Err(refused(path, "this is not a Quarry shard"));
        }
        if self.version != VERSION {
            let what = format!(
                "the shard has version {}, this Quarry reads {VERSION}: run both with one version",
                self.version
            );
            return Err(refused(path, what));
        }
        match Shard::new(self.shard, self.of) {
            Some(_) => Ok(self),
            None => Err(refused(path, format!("there is no shard {} of {}", self.shard, self.of))),
        }
    }
}

impl ImageLine {
    /// [`ImageLine::found`] with the detector's labels, for image lists.
    pub fn labelled(&self, path: &Path, line: u64) -> Result<Option<Vec<LabelledDetection>>, WorkflowError> {
        let labelled = |(detection, _): (Detection, _)| LabelledDetection { detection, label: detection.class.0 };
        Ok(self.found(path, line)?.map(|found| found.into_iter().map(labelled).collect()))
    }

    pub fn found(&self, path: &Path, line: u64) -> Result<Option<Vec<Seen>>, WorkflowError> {
        let Some(detections) = &self.detections else { return Ok(None) };
        let bad = |what: &str| refused(path, format!("line {line}: {what}. Run this shard again"));
        if !self.features.is_empty() && self.features.len() != detections.len() {
            return Err(bad("the number of features differs from the number of detections"));
        }
        let feature = |k: usize| match self.features.get(k).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(hex) => feature_of(hex).map(Some).ok_or_else(|| bad("a feature is damaged")),
        };
        let one = |(k, text): (usize, &String)| {
            let detection = detection_of(text).ok_or_else(|| bad("a detection is damaged"))?;
            Ok((detection, feature(k)?))
        };
        detections.iter().enumerate().map(one).collect::<Result<Vec<_>, _>>().map(Some)
    }
}

/// Formats a detection whose class is the detector's label.
pub(in crate::workflow) fn detection_text(d: &Detection) -> String {
    let b = d.bbox;
    let text = format!("{} {} {} {} {} {}", d.class.0, d.score, b.x1, b.y1, b.x2, b.y2);
    match d.ellipse {
        Some(e) => format!("{text} {} {} {} {} {}", e.ra, e.rb, e.theta, e.cx, e.cy),
        None => text,
    }
}

fn detection_of(text: &str) -> Option<Detection> {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |k: usize| words.get(k)?.parse::<f64>().ok().filter(|v| v.is_finite());
    let ellipse = match words.len() {
        6 => None,
        11 => Some(Ellipse::new(number(6)?, number(7)?, number(8)?, number(9)?, number(10)?)),
        _ => return None,
    };
    let score: f32 = words.get(1)?.parse().ok()?;
    let label: i64 = words.first()?.parse().ok().filter(|label| *label > 0)?;
    let bbox = BoundingBox::new(number(2)?, number(3)?, number(4)?, number(5)?);
    score.is_finite().then_some(Detection { class: ClassId(label), bbox, ellipse, score })
}

pub(in crate::workflow) fn feature_text(feature: Option<RoiFeature>) -> String {
    let bytes = feature.map(|feature| feature.bytes()).into_iter().flatten();
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn feature_of(hex: &str) -> Option<RoiFeature> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.as_chunks().0.iter().map(|[high, low]| high << 4 | low).collect();
    let bytes: [u8; ROI_FEATURE_LENGTH] = bytes.try_into().ok()?;
    (digits.len() == 2 * ROI_FEATURE_LENGTH).then(|| RoiFeature::from_bytes(bytes))
}

/// Writes the lines of a shard.
pub(in crate::workflow) struct ShardWriter<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    lines: u64,
}

impl<'a> ShardWriter<'a> {
    pub fn begin(out: &'a mut dyn Write, header: &Header) -> io::Result<Self> {
        let mut writer = Self { out, hasher: blake3::Hasher::new(), lines: 0 };
        writer.line(header)?;
        Ok(writer)
    }

    /// Continues after `lines` existing lines.
    pub fn resume(out: &'a mut dyn Write, hasher: blake3::Hasher, lines: u64) -> Self {
        Self { out, hasher, lines }
    }

    pub fn image(&mut self, image: &ImageLine) -> io::Result<()> {
        self.line(image)
    }

    pub fn end(self) -> io::Result<()> {
        let end = End { lines: self.lines, checksum: self.hasher.finalize().to_hex().to_string() };
        writeln!(self.out, "{}", serde_json::to_string(&end)?)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let line = format!("{}\n", serde_json::to_string(value)?);
        self.hasher.update(line.as_bytes());
        self.lines += 1;
        self.out.write_all(line.as_bytes())
    }
}

/// A file that was read completely and is intact.
#[derive(Debug, Clone)]
pub(in crate::workflow) struct ShardFile {
    pub path: PathBuf,
    pub header: Header,
    pub checksum: String,
    /// Number of images, without unreadable ones.
    pub images: usize,
    pub detections: usize,
    /// Names or hashes of unreadable images.
    pub unreadable: Vec<String>,
}

impl ShardFile {
    /// Reads the whole file and verifies its checksum. An incomplete, changed or foreign file is refused.
    pub fn open(path: &Path) -> Result<Self, WorkflowError> {
        let (mut images, mut detections, mut unreadable) = (0, 0, Vec::new());
        let (header, checksum) = read(path, |image, _| {
            match &image.detections {
                Some(found) => (images, detections) = (images + 1, detections + found.len()),
                None => unreadable.push(image.name.unwrap_or(image.image)),
            }
            Ok(())
        })?;
        Ok(Self { path: path.to_owned(), header, checksum, images, detections, unreadable })
    }

    /// Calls `take` for its images in order, with the line number. Reads the file again and fails if it has changed.
    pub fn each(&self, take: impl FnMut(ImageLine, u64) -> Result<(), WorkflowError>) -> Result<(), WorkflowError> {
        let (_, checksum) = read(&self.path, take)?;
        if checksum == self.checksum { Ok(()) } else { Err(refused(&self.path, "the file changed while it was read")) }
    }
}

/// Error for a file that is not a complete shard of the current work.
pub(in crate::workflow) fn refused(path: &Path, what: impl std::fmt::Display) -> WorkflowError {
    WorkflowError::BadFile { path: path.to_path_buf(), reason: what.to_string() }
}

/// The reusable part of a file left by an interrupted run.
#[derive(Debug, Clone, Default)]
pub(in crate::workflow) struct Left {
    pub images: usize,
    pub detections: usize,
    /// Indices of the unreadable images among the lines, from 0.
    pub unreadable: Vec<usize>,
    /// State after the header and those images, and their length.
    pub hasher: blake3::Hasher,
    pub bytes: u64,
}

/// Returns the reusable part of an unfinished file of the same work, where `holds` accepts each line; `None` for other work. Images that
/// were detected together stay together: of each `span` of them all are kept, or none.
pub(in crate::workflow) fn left(
    path: &Path,
    header: &Header,
    span: usize,
    mut holds: impl FnMut(usize, &ImageLine) -> Result<bool, WorkflowError>,
) -> Result<Option<Left>, WorkflowError> {
    let mut lines = Lines::open(path)?;
    let Some(first) = lines.next()?.filter(|first| first.ends_with('\n')) else { return Ok(None) };
    if serde_json::from_str::<Header>(&first).ok().as_ref() != Some(header) {
        return Ok(None);
    }
    let mut seen = Left { bytes: first.len() as u64, ..Left::default() };
    seen.hasher.update(first.as_bytes());
    let mut kept = seen.clone();
    // A line that cannot be parsed is where the run was interrupted.
    while let Ok(Some(line)) = lines.next() {
        let image = serde_json::from_str::<ImageLine>(&line).ok().filter(|_| line.ends_with('\n'));
        let Some(image) = image.filter(|image| image.found(path, 0).is_ok()) else { break };
        if !holds(seen.images, &image)? {
            break;
        }
        match &image.detections {
            Some(found) => seen.detections += found.len(),
            None => seen.unreadable.push(seen.images),
        }
        seen.images += 1;
        seen.hasher.update(line.as_bytes());
        seen.bytes += line.len() as u64;
        if seen.images.is_multiple_of(span) {
            kept.clone_from(&seen);
        }
    }
    Ok(Some(kept))
}

/// Whether a file starts like one of Quarry's, so that it may be overwritten by another.
pub(in crate::workflow) fn is_ours(path: &Path) -> Result<bool, WorkflowError> {
    let mut begin = Vec::new();
    let read = open_regular(path)?.0.take(START.len() as u64).read_to_end(&mut begin);
    read.map_err(unread(path))?;
    Ok(START.as_bytes().starts_with(&begin))
}

/// The start of every header.
const START: &str = "{\"format\":\"quarry shard\"";

/// Reads the header of a file that may be incomplete after it.
pub(in crate::workflow) fn header_of(path: &Path) -> Result<Header, WorkflowError> {
    let mut lines = Lines::open(path)?;
    let first = lines.next()?.ok_or_else(|| refused(path, "the file is empty"))?;
    header(path, &first)
}

fn header(path: &Path, line: &str) -> Result<Header, WorkflowError> {
    let found: Result<Header, _> = serde_json::from_str(line);
    found.map_err(|e| refused(path, format!("this is not a Quarry shard, or not its beginning ({e})")))?.check(path)
}

fn read(
    path: &Path,
    mut take: impl FnMut(ImageLine, u64) -> Result<(), WorkflowError>,
) -> Result<(Header, String), WorkflowError> {
    let mut lines = ShardLines::open(path)?;
    while let Some((image, number)) = lines.next()? {
        take(image, number)?;
    }
    Ok((lines.header, lines.checksum))
}

/// Iterates over a shard's images with only one line in memory.
pub(in crate::workflow) struct ShardLines {
    lines: Lines,
    header: Header,
    hasher: blake3::Hasher,
    number: u64,
    /// Set after the final line was read.
    checksum: String,
}

impl ShardLines {
    pub fn open(path: &Path) -> Result<Self, WorkflowError> {
        let mut lines = Lines::open(path)?;
        let first = lines.next()?.ok_or_else(|| refused(path, "the file is empty"))?;
        let header = header(path, &first)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(first.as_bytes());
        Ok(Self { lines, header, hasher, number: 1, checksum: String::new() })
    }

    pub fn path(&self) -> &Path {
        &self.lines.path
    }

    /// Returns the next image with its line number; `None` after the last one, once the checksum was verified.
    pub fn next(&mut self) -> Result<Option<(ImageLine, u64)>, WorkflowError> {
        if !self.checksum.is_empty() {
            return Ok(None);
        }
        let Some(line) = self.lines.next()? else { return Err(self.half()) };
        self.number += 1;
        if let Ok(End { lines: count, checksum }) = serde_json::from_str(&line) {
            let is_whole = count == self.number - 1 && *self.hasher.finalize().to_hex() == *checksum;
            if !is_whole || self.lines.next()?.is_some() {
                return Err(self.half());
            }
            self.checksum = checksum;
            return Ok(None);
        }
        self.hasher.update(line.as_bytes());
        let image = serde_json::from_str(&line).map_err(|_| self.half())?;
        Ok(Some((image, self.number)))
    }

    /// Checksum of everything before the final line; empty until that was read.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Closes the file until the next line is requested, because a process may only have a limited number open.
    pub fn rest(&mut self) {
        self.lines.file = None;
    }

    fn half(&self) -> WorkflowError {
        let shard = format!("{}/{}", self.header.shard, self.header.of);
        refused(self.path(), format!("the file is half written or was changed. Run the shard {shard} again"))
    }
}

/// Reads lines of bounded length, with their line ends.
struct Lines {
    path: PathBuf,
    /// Offset of the next line.
    at: u64,
    file: Option<BufReader<File>>,
}

/// Maximum length; an image with 100,000 detections and their features is shorter.
const LINE: u64 = 64 << 20;

impl Lines {
    fn open(path: &Path) -> Result<Self, WorkflowError> {
        let mut lines = Self { path: path.to_owned(), at: 0, file: None };
        lines.file()?;
        Ok(lines)
    }

    fn file(&mut self) -> Result<&mut BufReader<File>, WorkflowError> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let (mut file, size) = open_regular(&self.path)?;
            if size > limits::WEIGHTS {
                return Err(refused(&self.path, "the file is too large for a shard: use more shards"));
            }
            file.seek(SeekFrom::Start(self.at)).map_err(unread(&self.path))?;
            BufReader::new(file)
        };
        Ok(self.file.insert(file))
    }

    fn next(&mut self) -> Result<Option<String>, WorkflowError> {
        let mut bytes = Vec::new();
        let read = self.file()?.by_ref().take(LINE).read_until(b'\n', &mut bytes);
        read.map_err(unread(&self.path))?;
        self.at += bytes.len() as u64;
        if bytes.len() as u64 == LINE {
            return Err(refused(&self.path, "a line of the file is too long for a shard of Quarry"));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map(Some);
        text.map_err(|_| refused(&self.path, "this is not a Quarry shard: it is not text"))
    }
}

fn unread(path: &Path) -> impl FnOnce(io::Error) -> WorkflowError {
    WorkflowError::io(path, "Check that the file can be read.")
}

/// Hashes the words of a list with blake3.
pub(in crate::workflow) fn fingerprint<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: &Path) -> (Vec<Detection>, RoiFeature) {
        let shard = Shard { number: 2, of: 3 };
        let header =
            Header { classes: vec!["face".to_owned()], ..Header::new(Work::Mine, shard, "i".into(), "l".into(), 4) };
        let bbox = BoundingBox::new(0.1, 1.0 / 3.0, 1e17, 2.0_f64.sqrt());
        let plain = Detection { class: ClassId(1), bbox, ellipse: None, score: 0.1 + 0.2 };
        let ellipse = Some(Ellipse::new(1.0 / 7.0, 0.3, std::f64::consts::PI, 1e-300, 4.0));
        let found = vec![plain, Detection { class: ClassId(9), ellipse, ..plain }];
        let feature = RoiFeature::from_bytes(std::array::from_fn(|k| k as u8 * 2));
        let lines = [
            ImageLine {
                place: 1,
                name: Some("a\n\u{1f600}".to_owned()),
                image: "77".to_owned(),
                detections: Some(found.iter().map(detection_text).collect()),
                features: vec![feature_text(Some(feature)), feature_text(None)],
            },
            ImageLine { place: 4, name: None, image: "78".to_owned(), detections: None, features: vec![] },
        ];
        let mut bytes = Vec::new();
        let mut writer = ShardWriter::begin(&mut bytes, &header).unwrap();
        for line in &lines {
            writer.image(line).unwrap();
        }
        writer.end().unwrap();
        fs::write(path, bytes).unwrap();
        (found, feature)
    }

    #[test]
    fn what_is_written_comes_back_to_the_last_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let (found, feature) = write(&path);
        let file = ShardFile::open(&path).unwrap();
        assert_eq!((file.images, file.detections, file.unreadable.clone()), (1, 2, vec!["78".to_owned()]));
        let mut seen = Vec::new();
        file.each(|image, line| {
            seen.push((image.place, image.found(&path, line)?));
            Ok(())
        })
        .unwrap();
        let expected = vec![(found[0], Some(feature)), (found[1], None)];
        assert_eq!(seen, [(1, Some(expected)), (4, None)]);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        write(&path);
        let whole = fs::read(&path).unwrap();
        let check = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let message = ShardFile::open(&path).unwrap_err().to_string();
            assert!(message.contains("a.jsonl: "), "{message}");
        };
        (0..whole.len() - 1).step_by(7).for_each(|length| check(&whole[..length]));
        for at in (0..whole.len() - 1).step_by(11) {
            let mut changed = whole.clone();
            changed[at] = changed[at].wrapping_add(1);
            check(&changed);
        }
        check(&[&whole[..], b"{}\n"].concat());
        check(b"{\"format\":\"other\"}\n");
        check(&[0xff; 40]);
        let old = String::from_utf8(whole).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        fs::write(&path, old).unwrap();
        assert!(ShardFile::open(&path).unwrap_err().to_string().contains("version 2"));
    }

    #[test]
    fn damaged_numbers_are_refused_with_their_line() {
        let line = |text: &str| ImageLine {
            place: 0,
            name: None,
            image: String::new(),
            detections: Some(vec![text.to_owned()]),
            features: vec![],
        };
        for bad in
            ["", "1 0.5 1 2 3", "1 0.5 1 2 3 4 5", "0 0.5 1 2 3 4", "1 NaN 1 2 3 4", "1 0.5 1 2 inf 4", "x 0.5 1 2 3 4"]
        {
            let message = line(bad).found(Path::new("a.jsonl"), 7).unwrap_err().to_string();
            assert!(message.contains("a.jsonl: line 7"), "{message}");
        }
        assert!(line("1 0.5 1 2 3 4").found(Path::new("a"), 1).unwrap().unwrap().len() == 1);
    }
}
