//! A disk cache for parts of very large images, so that showing one again does not decode the whole image.
//!
//! A missing, truncated, damaged or stale entry is recreated. An entry's name contains the blake3 of the image and the part; its content
//! records the image file's metadata when the part was cut. If the metadata differs now, the file is read again, so that a changed image is
//! detected.

// Parsers of untrusted input do not index: no file may cause a panic.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::{DecodeRequest, Pixels};
use crate::domain::read_bytes;
use crate::geometry::BoundingBox;

/// Minimum pixel count for an entry: smaller images are decoded in less than a tenth of a second.
pub const LARGE_PIXELS: u64 = 16_000_000;
/// Maximum size of the cache on disk in bytes.
const BUDGET: u64 = 1 << 30;
/// Fraction of the budget that remains after the least recently used entries are evicted.
const KEPT: f64 = 0.75;

const MAGIC: &[u8; 8] = b"quarryC1";
const HASH: usize = 32;
/// Magic, stamp, covered region, width, height; then the pixels, and the blake3 of everything before.
const HEADER: usize = MAGIC.len() + HASH + 4 * 8 + 2 * 4;
/// Maximum side length of an entry.
const SIDE_MAX: u32 = super::WHOLE_SIDE_MAX;
const ENTRY_MAX: u64 = HEADER as u64 + HASH as u64 + SIDE_MAX as u64 * SIDE_MAX as u64 * 3;

/// A hash of file metadata that changes with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([u8; HASH]);

impl Stamp {
    /// `None` if the file does not exist.
    pub fn of(path: &Path) -> Option<Self> {
        let known = std::fs::metadata(path).ok()?;
        let modified = known.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&known.len().to_le_bytes()).update(&modified.to_le_bytes());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            hasher.update(&known.ino().to_le_bytes());
            hasher.update(&known.ctime().to_le_bytes()).update(&known.ctime_nsec().to_le_bytes());
        }
        Some(Self(*hasher.finalize().as_bytes()))
    }
}

/// The cache folder.
pub struct CropCache {
    folder: PathBuf,
    budget: u64,
    /// Bytes in the folder; `None` until counted.
    used: Mutex<Option<u64>>,
    /// The folder is not writable: reported once, not retried.
    is_off: AtomicBool,
}

impl CropCache {
    /// Opens `$XDG_CACHE_HOME/quarry`, by default `~/.cache/quarry`. `None` without a home folder.
    pub fn of_user() -> Option<Self> {
        let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = from("XDG_CACHE_HOME")
            .or_else(|| from("LOCALAPPDATA"))
            .or_else(|| from("HOME").map(|home| home.join(".cache")))?;
        Some(Self::new(base.join("quarry").join("crops"), BUDGET))
    }

    pub fn new(folder: PathBuf, budget: u64) -> Self {
        Self { folder, budget, used: Mutex::new(None), is_off: AtomicBool::new(false) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the total size of the entries in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries().iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// Removes all entries except those being written; the error is from the first one that cannot be removed.
    pub fn clear(&self) -> std::io::Result<()> {
        for (_, path, bytes) in self.entries() {
            // Entry names are hexadecimal hashes.
            if path.file_name().is_none_or(|name| name.len() != 2 * HASH) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => self.forget(bytes),
            }
        }
        Ok(())
    }

    /// Byte budget of background prefetching: entries needed soon must not evict each other.
    pub fn fill_budget(&self) -> u64 {
        self.budget / 2
    }

    /// Returns a cached part, if the image file is unchanged since it was cut.
    pub fn find(&self, request: &DecodeRequest, side: u32) -> Option<Pixels> {
        let path = self.path(request, side);
        let bytes = read_bytes(&path, ENTRY_MAX).ok()?;
        let stamp = Stamp::of(&request.path);
        let Some(pixels) = stamp.and_then(|stamp| parse(&bytes, stamp)) else {
            self.remove(&path, bytes.len() as u64);
            return None;
        };
        // Update the modification time, which orders eviction.
        if let Ok(file) = std::fs::File::options().append(true).open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(pixels)
    }

    /// Whether an entry exists; [`CropCache::find`] also validates it.
    pub fn has(&self, request: &DecodeRequest, side: u32) -> bool {
        self.path(request, side).is_file()
    }

    /// Stores a part cut from the file with this stamp.
    pub fn keep(&self, request: &DecodeRequest, side: u32, stamp: Stamp, pixels: &Pixels) {
        if pixels.is_changed || self.is_off.load(Ordering::Relaxed) {
            return;
        }
        let bytes = entry(stamp, pixels);
        match self.write(&self.path(request, side), &bytes) {
            Ok(()) => self.wrote(bytes.len() as u64),
            Err(error) => {
                self.is_off.store(true, Ordering::Relaxed);
                let folder = self.folder.display();
                tracing::warn!(
                    "parts of large images are not kept in {folder}: {error}. Free space there or set XDG_CACHE_HOME"
                );
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path).map(|_| ()).map_err(|error| error.error)
    }

    fn wrote(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match *used {
            Some(known) => known + bytes,
            None => self.entries().iter().map(|(_, _, bytes)| bytes).sum(),
        };
        *used = Some(if now > self.budget { self.evict() } else { now });
    }

    /// Evicts the least recently used entries; returns the remaining bytes.
    fn evict(&self) -> u64 {
        let mut entries = self.entries();
        entries.sort();
        let mut used: u64 = entries.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, bytes) in entries {
            if used as f64 <= self.budget as f64 * KEPT {
                break;
            }
            if std::fs::remove_file(&path).is_ok() {
                used -= bytes;
            }
        }
        used
    }

    /// Lists the entries with last use, path and size in bytes.
    fn entries(&self) -> Vec<(SystemTime, PathBuf, u64)> {
        let Ok(folder) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let entry = |entry: std::fs::DirEntry| {
            let known = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((known.modified().ok()?, entry.path(), known.len()))
        };
        folder.filter_map(|found| entry(found.ok()?)).collect()
    }

    fn remove(&self, path: &Path, bytes: u64) {
        if std::fs::remove_file(path).is_ok() {
            self.forget(bytes);
        }
    }

    fn forget(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.map(|used| used.saturating_sub(bytes));
    }

    fn path(&self, request: &DecodeRequest, side: u32) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(request.content_hash.as_bytes()).update(&side.to_le_bytes());
        if let Some(BoundingBox { x1, y1, x2, y2, .. }) = request.region {
            for corner in [x1, y1, x2, y2] {
                hasher.update(&corner.to_bits().to_le_bytes());
            }
        }
        self.folder.join(hasher.finalize().to_hex().as_str())
    }
}

fn entry(stamp: Stamp, pixels: &Pixels) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + pixels.rgb.len() + HASH);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&stamp.0);
    let BoundingBox { x1, y1, x2, y2, .. } = pixels.covers;
    for corner in [x1, y1, x2, y2] {
        bytes.extend_from_slice(&corner.to_le_bytes());
    }
    bytes.extend_from_slice(&pixels.width.to_le_bytes());
    bytes.extend_from_slice(&pixels.height.to_le_bytes());
    bytes.extend_from_slice(&pixels.rgb);
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

/// Parses the pixels of a complete entry cut from the file with this stamp.
fn parse(bytes: &[u8], stamp: Stamp) -> Option<Pixels> {
    let (content, hash) = bytes.split_last_chunk::<HASH>()?;
    if blake3::hash(content).as_bytes() != hash {
        return None;
    }
    let (magic, rest) = content.split_first_chunk::<8>()?;
    let (cut_from, mut rest) = rest.split_first_chunk::<HASH>()?;
    if magic != MAGIC || *cut_from != stamp.0 {
        return None;
    }
    let mut corners = [0.0; 4];
    for corner in &mut corners {
        let (value, after) = rest.split_first_chunk::<8>()?;
        (*corner, rest) = (f64::from_le_bytes(*value), after);
    }
    let (width, rest) = rest.split_first_chunk::<4>()?;
    let (height, rgb) = rest.split_first_chunk::<4>()?;
    let (width, height) = (u32::from_le_bytes(*width), u32::from_le_bytes(*height));
    let [x1, y1, x2, y2] = corners;
    let is_sane = corners.iter().all(|corner| corner.is_finite()) && x1 < x2 && y1 < y2;
    let fits = (1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height);
    let is_whole = fits && rgb.len() as u64 == u64::from(width) * u64::from(height) * 3;
    let covers = BoundingBox::new(x1, y1, x2, y2);
    (is_sane && is_whole).then(|| Pixels { width, height, rgb: rgb.to_vec(), covers, is_changed: false })
}

#[cfg(test)]
mod tests {
    use super::super::DecodeKey;
    use super::*;
    use crate::domain::{CandidateId, ImageId};

    fn request(path: &Path, candidate: i64, side: u32) -> DecodeRequest {
        let at = candidate as f64;
        DecodeRequest {
            key: DecodeKey::Crop { candidate: CandidateId(candidate), side },
            image: ImageId(1),
            path: path.to_owned(),
            content_hash: "ab".repeat(32),
            region: Some(BoundingBox::new(at, 0.0, at + 10.0, 10.0)),
        }
    }

    fn pixels(side: u32) -> Pixels {
        let rgb = (0..side * side * 3).map(|k| k as u8).collect();
        Pixels { width: side, height: side, rgb, covers: BoundingBox::new(0.0, 0.0, 5.0, 6.5), is_changed: false }
    }

    #[test]
    fn a_part_comes_back_until_the_images_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image.jpg");
        std::fs::write(&image, "first").unwrap();
        let cache = CropCache::new(dir.path().join("cache"), 1 << 20);
        let wanted = request(&image, 1, 8);
        assert_eq!(cache.find(&wanted, 8), None);
        cache.keep(&wanted, 8, Stamp::of(&image).unwrap(), &pixels(8));
        assert!(cache.has(&wanted, 8));
        assert_eq!(cache.find(&wanted, 8), Some(pixels(8)));
        assert_eq!(cache.find(&wanted, 9), None, "another size");
        assert_eq!(cache.find(&request(&image, 2, 8), 8), None, "another part");
        let other = DecodeRequest { content_hash: "cd".repeat(32), ..wanted.clone() };
        assert_eq!(cache.find(&other, 8), None, "another image");
        std::fs::write(&image, "other").unwrap();
        assert_eq!(cache.find(&wanted, 8), None, "the file is another one");
        assert!(!cache.has(&wanted, 8), "what is stale is removed");
        let changed = Pixels { is_changed: true, ..pixels(8) };
        cache.keep(&wanted, 8, Stamp::of(&image).unwrap(), &changed);
        assert!(!cache.has(&wanted, 8), "an image that is not what was imported is not kept");
    }

    #[test]
    fn whatever_an_entry_holds_it_is_whole_or_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image.jpg");
        std::fs::write(&image, "image").unwrap();
        let stamp = Stamp::of(&image).unwrap();
        let whole = entry(stamp, &pixels(4));
        assert_eq!(parse(&whole, stamp), Some(pixels(4)));
        for length in 0..whole.len() {
            assert_eq!(parse(whole.get(..length).unwrap(), stamp), None, "cut off at {length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            *damaged.get_mut(at).unwrap() ^= 1;
            assert_eq!(parse(&damaged, stamp), None, "byte {at}");
        }
        // A valid checksum, but impossible values.
        for impossible in [
            Pixels { width: 5, ..pixels(4) },
            Pixels { width: 0, height: 0, rgb: Vec::new(), ..pixels(4) },
            Pixels { covers: BoundingBox::new(0.0, 0.0, f64::NAN, 1.0), ..pixels(4) },
            Pixels { width: u32::MAX, ..pixels(4) },
        ] {
            assert_eq!(parse(&entry(stamp, &impossible), stamp), None);
        }
        let cache = CropCache::new(dir.path().join("cache"), 1 << 20);
        let wanted = request(&image, 1, 4);
        cache.keep(&wanted, 4, stamp, &pixels(4));
        std::fs::write(cache.path(&wanted, 4), "damaged").unwrap();
        assert_eq!(cache.find(&wanted, 4), None);
        assert!(!cache.has(&wanted, 4));
    }

    #[test]
    fn it_stays_within_its_bytes_and_what_was_used_last_stays() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image.jpg");
        std::fs::write(&image, "image").unwrap();
        let stamp = Stamp::of(&image).unwrap();
        let one = entry(stamp, &pixels(16)).len() as u64;
        let cache = CropCache::new(dir.path().join("cache"), one * 8);
        let at = |candidate: i64| request(&image, candidate, 16);
        for candidate in 0..8 {
            cache.keep(&at(candidate), 16, stamp, &pixels(16));
            let age = std::time::Duration::from_secs(100 - candidate as u64);
            let file = std::fs::File::options().append(true).open(cache.path(&at(candidate), 16)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        assert!(cache.find(&at(0), 16).is_some());
        // After a restart the existing entries are counted.
        let cache = CropCache::new(dir.path().join("cache"), one * 8);
        cache.keep(&at(8), 16, stamp, &pixels(16));
        let kept: Vec<i64> = (0..9).filter(|candidate| cache.has(&at(*candidate), 16)).collect();
        assert_eq!(kept, [0, 4, 5, 6, 7, 8], "a quarter of the budget is free again");
        assert!(cache.bytes() <= one * 6);
        let written = dir.path().join("cache/.tmpAbC");
        std::fs::write(&written, "half").unwrap();
        cache.clear().unwrap();
        assert_eq!(cache.bytes(), 4, "what is being written stays");
        cache.keep(&at(1), 16, stamp, &pixels(16));
        assert!(cache.find(&at(1), 16).is_some(), "it is filled again");
        let none = CropCache::new(dir.path().join("never made"), one);
        assert!(none.clear().is_ok() && none.bytes() == 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_turns_it_off() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image.jpg");
        std::fs::write(&image, "image").unwrap();
        let cache = CropCache::new(image.join("cache"), 1 << 20);
        cache.keep(&request(&image, 1, 4), 4, Stamp::of(&image).unwrap(), &pixels(4));
        assert!(cache.is_off.load(Ordering::Relaxed));
        assert_eq!(cache.find(&request(&image, 1, 4), 4), None);
    }
}
