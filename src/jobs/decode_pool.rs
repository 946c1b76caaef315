//! A small thread pool that decodes images and cuts crops, nearest first. Each list of requests replaces the previous one, so images
//! scrolled out of view are never decoded.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use image::{RgbImage, imageops};

use super::crop_cache::{CropCache, LARGE_PIXELS, Stamp};
use super::decode_request::{DecodeKey, DecodeRequest, Pixels};
use super::{ByteCache, Waker};
use crate::domain::{ImageId, caught};
use crate::geometry::BoundingBox;

/// Byte budget of the decoded images kept in memory.
const DECODED_BUDGET: usize = 96 << 20;
/// Maximum number of finished images queued for the window.
const RESULT_QUEUE: usize = 256;

/// Reads an image file as RGB and compares its bytes with the blake3 recorded at import; the error says why not.
pub type Decode = fn(&Path, &str) -> Result<Decoded, String>;

/// A decoded image.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub image: RgbImage,
    /// The file has changed since the import.
    pub is_changed: bool,
}

#[derive(Debug)]
pub struct DecodedPart {
    pub key: DecodeKey,
    pub result: Result<Pixels, String>,
}

/// An image in memory, and its file's metadata stamp; `None` if that changed during the read.
struct Read {
    decoded: Decoded,
    stamp: Option<Stamp>,
}

impl Read {
    fn is_large(&self) -> bool {
        let image = &self.decoded.image;
        u64::from(image.width()) * u64::from(image.height()) >= LARGE_PIXELS
    }
}

struct State {
    requests: VecDeque<DecodeRequest>,
    in_work: HashSet<DecodeKey>,
    decoded: ByteCache<ImageId, Arc<Read>>,
    /// Parts of large images to cache on disk while no request is pending, grouped by image.
    ahead: VecDeque<Vec<DecodeRequest>>,
    /// Whether a thread is prefetching.
    is_ahead: bool,
    closed: bool,
}

enum Task {
    Show(DecodeRequest),
    Ahead(Vec<DecodeRequest>),
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    decode: Decode,
    /// The disk cache for parts of large images.
    cache: Option<CropCache>,
    waker: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool. Dropping it stops and joins its threads.
pub struct DecodePool {
    shared: Arc<Shared>,
    pictures: Option<Receiver<DecodedPart>>,
    threads: Vec<JoinHandle<()>>,
}

impl DecodePool {
    /// `cache` is the disk cache for parts of very large images.
    pub fn start(threads: usize, decode: Decode, cache: Option<CropCache>, waker: Waker) -> std::io::Result<Self> {
        let state = State {
            requests: VecDeque::new(),
            in_work: HashSet::new(),
            decoded: ByteCache::new(DECODED_BUDGET),
            ahead: VecDeque::new(),
            is_ahead: false,
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), decode, cache, waker });
        let (sender, pictures) = bounded(RESULT_QUEUE);
        let mut pool = Self { shared, pictures: Some(pictures), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let (shared, sender) = (Arc::clone(&pool.shared), sender.clone());
            let builder = std::thread::Builder::new().name(format!("Decoder {number}"));
            pool.threads.push(builder.spawn(move || work(&shared, &sender))?);
        }
        Ok(pool)
    }

    /// Sets the requested images, most urgent first. Replaces all earlier requests that no thread has started.
    pub fn want(&self, requests: impl IntoIterator<Item = DecodeRequest>) {
        let mut state = self.shared.lock();
        let fresh = requests.into_iter().filter(|w| !state.in_work.contains(&w.key)).collect();
        state.requests = fresh;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Sets the parts of large images to prefetch, grouped by image: they are cut in the background and cached on disk while there is room.
    /// Replaces the previous list.
    pub fn keep_ahead(&self, images: impl IntoIterator<Item = Vec<DecodeRequest>>) {
        let Some(cache) = &self.shared.cache else { return };
        let mut room = cache.fill_budget();
        let fits = |parts: &Vec<DecodeRequest>| {
            let bytes = |part: &DecodeRequest| u64::from(part.key.side()).pow(2) * 3;
            let needed = parts.iter().map(bytes).sum();
            let is_room = needed <= room;
            room = room.saturating_sub(needed);
            is_room
        };
        self.shared.lock().ahead = images.into_iter().take_while(fits).collect();
        self.shared.changed.notify_all();
    }

    /// Returns the next finished image, if any.
    pub fn poll(&self) -> Option<DecodedPart> {
        self.pictures.as_ref().and_then(|pictures| pictures.try_recv().ok())
    }
}

impl Drop for DecodePool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        self.pictures = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, sender: &Sender<DecodedPart>) {
    while let Some(task) = next_task(shared) {
        let request = match task {
            Task::Show(request) => request,
            Task::Ahead(parts) => {
                if let Err(panic) = caught(|| keep(shared, &parts)) {
                    tracing::warn!("cutting parts of a large image failed: {}", panic.reported());
                }
                shared.lock().is_ahead = false;
                continue;
            }
        };
        let made = caught(|| make(shared, &request));
        let made = made.unwrap_or_else(|panic| Err(format!("decoding failed: {}", panic.reported())));
        let (result, to_keep) = match made {
            Ok((pixels, stamp)) => {
                let to_keep = stamp.map(|stamp| (stamp, pixels.clone()));
                (Ok(pixels), to_keep)
            }
            Err(reason) => (Err(reason), None),
        };
        let closed = sender.send(DecodedPart { key: request.key, result }).is_err();
        shared.lock().in_work.remove(&request.key);
        if closed {
            return;
        }
        (shared.waker)();
        // The window already has it.
        if let (Some((stamp, pixels)), Some(cache)) = (to_keep, &shared.cache) {
            cache.keep(&request, request.key.side(), stamp, &pixels);
        }
    }
}

fn next_task(shared: &Shared) -> Option<Task> {
    let mut state = shared.lock();
    loop {
        if state.closed {
            return None;
        }
        if let Some(request) = state.requests.pop_front() {
            state.in_work.insert(request.key);
            return Some(Task::Show(request));
        }
        if !state.is_ahead
            && let Some(parts) = state.ahead.pop_front()
        {
            state.is_ahead = true;
            return Some(Task::Ahead(parts));
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Returns the pixels, and the file's stamp if they are worth caching on disk.
fn make(shared: &Shared, request: &DecodeRequest) -> Result<(Pixels, Option<Stamp>), String> {
    let side = request.key.side();
    let kept = shared.lock().decoded.get(&request.image).cloned();
    let read = if let Some(read) = kept {
        read
    } else {
        if let Some(pixels) = shared.cache.as_ref().and_then(|cache| cache.find(request, side)) {
            return Ok((pixels, None));
        }
        let read = Arc::new(read(shared, request)?);
        shared.lock().decoded.insert(request.image, Arc::clone(&read), read.decoded.image.as_raw().len());
        read
    };
    let pixels = cut(&read.decoded, request.region.as_ref(), side);
    Ok((pixels, read.stamp.filter(|_| read.is_large() && shared.cache.is_some())))
}

fn read(shared: &Shared, request: &DecodeRequest) -> Result<Read, String> {
    let before = Stamp::of(&request.path);
    let decoded = (shared.decode)(&request.path, &request.content_hash)?;
    let stamp = before.filter(|before| Stamp::of(&request.path) == Some(*before));
    Ok(Read { decoded, stamp })
}

/// Cuts an image's parts that are not cached yet.
fn keep(shared: &Shared, parts: &[DecodeRequest]) {
    let Some(cache) = &shared.cache else { return };
    let is_missing = |part: &&DecodeRequest| !cache.has(part, part.key.side());
    let missing: Vec<&DecodeRequest> = parts.iter().filter(is_missing).collect();
    let Some(first) = missing.first() else { return };
    // A read error is reported when the image is shown.
    let Ok(read) = read(shared, first) else { return };
    let Some(stamp) = read.stamp.filter(|_| read.is_large()) else { return };
    for part in missing {
        if shared.lock().closed {
            return;
        }
        let side = part.key.side();
        cache.keep(part, side, stamp, &cut(&read.decoded, part.region.as_ref(), side));
    }
}

/// Returns the pixels of `region` within the image, extended to whole pixels and shrunk (never enlarged) to fit `side`.
fn cut(decoded: &Decoded, region: Option<&BoundingBox>, side: u32) -> Pixels {
    let Decoded { image, is_changed } = decoded;
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let full = BoundingBox::new(0.0, 0.0, width, height);
    let part = region.map_or(full, |r| r.clipped(width, height));
    let (x, y) = (part.x1.floor().min(width - 1.0) as u32, part.y1.floor().min(height - 1.0) as u32);
    let (w, h) = ((part.x2.ceil() as u32).max(x + 1) - x, (part.y2.ceil() as u32).max(y + 1) - y);
    let covers = BoundingBox::from_xywh(f64::from(x), f64::from(y), f64::from(w), f64::from(h));
    let view = imageops::crop_imm(image, x, y, w, h);
    let longest = w.max(h);
    let pixels = if longest <= side {
        view.to_image()
    } else {
        let shrink = |length: u32| ((u64::from(length) * u64::from(side) / u64::from(longest)) as u32).max(1);
        imageops::resize(&*view, shrink(w), shrink(h), imageops::FilterType::Triangle)
    };
    Pixels { width: pixels.width(), height: pixels.height(), rgb: pixels.into_raw(), covers, is_changed: *is_changed }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;

    fn decode(path: &Path, content_hash: &str) -> Result<Decoded, String> {
        match path.to_str() {
            Some("slow") => std::thread::sleep(Duration::from_millis(100)),
            Some("missing") => return Err("missing: no such file".to_owned()),
            Some("broken") => panic!("bad marker"),
            _ => {}
        }
        let image = RgbImage::from_fn(40, 20, |x, y| image::Rgb([x as u8, y as u8, 0]));
        Ok(Decoded { image, is_changed: content_hash != "known" })
    }

    fn whole(id: i64, path: &str) -> DecodeRequest {
        let image = ImageId(id);
        DecodeRequest {
            key: DecodeKey::Whole(image),
            image,
            path: PathBuf::from(path),
            content_hash: "known".to_owned(),
            region: None,
        }
    }

    fn wait(pool: &DecodePool) -> DecodedPart {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(picture) = pool.poll() {
                return picture;
            }
            assert!(Instant::now() < deadline, "no picture");
        }
    }

    #[test]
    fn requests_no_longer_visible_are_dropped() {
        let pool = DecodePool::start(1, decode, None, Arc::new(|| {})).unwrap();
        pool.want([whole(1, "slow")]);
        std::thread::sleep(Duration::from_millis(20));
        pool.want((2..100).map(|id| whole(id, "slow")));
        pool.want([whole(1, "slow"), whole(100, "fast")]);
        assert_eq!(wait(&pool).key, DecodeKey::Whole(ImageId(1)));
        assert_eq!(wait(&pool).key, DecodeKey::Whole(ImageId(100)));
        std::thread::sleep(Duration::from_millis(30));
        assert!(pool.poll().is_none());
    }

    #[test]
    fn a_missing_or_broken_file_is_told_and_the_pool_lives_on() {
        let pool = DecodePool::start(1, decode, None, Arc::new(|| {})).unwrap();
        pool.want([whole(1, "missing"), whole(2, "broken"), whole(3, "good")]);
        assert_eq!(wait(&pool).result.unwrap_err(), "missing: no such file");
        assert!(wait(&pool).result.unwrap_err().contains("bad marker"));
        let good = wait(&pool).result.unwrap();
        assert_eq!((good.width, good.is_changed), (40, false));
        pool.want([DecodeRequest { content_hash: "other".to_owned(), ..whole(4, "good") }]);
        assert!(wait(&pool).result.unwrap().is_changed);
    }

    #[test]
    fn crops_stay_within_the_image_and_say_what_they_cover() {
        let image = decode(Path::new(""), "known").unwrap();
        let check = |region: BoundingBox, side: u32, size: (u32, u32), covers: [f64; 4]| {
            let p = cut(&image, Some(&region), side);
            assert_eq!((p.width, p.height), size);
            assert_eq!([p.covers.x1, p.covers.y1, p.covers.x2, p.covers.y2], covers);
            assert_eq!(p.rgb.len(), (size.0 * size.1 * 3) as usize);
        };
        check(BoundingBox::new(10.2, 5.0, 19.5, 10.0), 64, (10, 5), [10., 5., 20., 10.]);
        check(BoundingBox::new(-10.0, -10.0, 10.0, 10.0), 64, (10, 10), [0., 0., 10., 10.]);
        check(BoundingBox::new(0.0, 0.0, 40.0, 20.0), 10, (10, 5), [0., 0., 40., 20.]);
        check(BoundingBox::new(50.0, 30.0, 60.0, 40.0), 10, (1, 1), [39., 19., 40., 20.]);
    }

    /// Like [`decode`], for one-byte files; large.
    fn decode_large(path: &Path, content_hash: &str) -> Result<Decoded, String> {
        let shade = *crate::domain::read_bytes(path, 16).map_err(|e| e.to_string())?.first().unwrap();
        let image = RgbImage::from_pixel(5000, 4000, image::Rgb([shade, 0, 0]));
        DECODED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Decoded { image, is_changed: content_hash != "known" })
    }

    static DECODED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

    #[test]
    fn parts_of_large_images_are_cut_in_the_background_and_shown_without_decoding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.bin");
        std::fs::write(&path, [7]).unwrap();
        let folder = dir.path().join("cache");
        let decoded = || DECODED.load(std::sync::atomic::Ordering::Relaxed);
        let start = || {
            let cache = CropCache::new(folder.clone(), 64 << 20);
            DecodePool::start(1, decode_large, Some(cache), Arc::new(|| {})).unwrap()
        };
        let part = |candidate: i64| DecodeRequest {
            key: DecodeKey::Crop { candidate: crate::domain::CandidateId(candidate), side: 64 },
            region: Some(BoundingBox::from_xywh(candidate as f64 * 100.0, 0.0, 80.0, 80.0)),
            ..whole(1, path.to_str().unwrap())
        };
        let pool = start();
        pool.keep_ahead([vec![part(1), part(2), part(3)]]);
        let deadline = Instant::now() + Duration::from_mins(1);
        while std::fs::read_dir(&folder).map_or(0, Iterator::count) < 3 {
            assert!(Instant::now() < deadline, "nothing is kept");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(pool);
        assert_eq!(decoded(), 1, "one image is decoded once for all its parts");
        let pool = start();
        pool.want([part(2)]);
        let shown = wait(&pool).result.unwrap();
        assert_eq!((shown.rgb.first(), shown.covers.x1, decoded()), (Some(&7), 200.0, 1));
        // Shown first, cached afterwards.
        pool.want([part(4)]);
        assert_eq!(wait(&pool).result.unwrap().covers.x1, 400.0);
        assert_eq!(decoded(), 2);
        drop(pool);
        let pool = start();
        pool.want([part(4)]);
        wait(&pool).result.unwrap();
        assert_eq!(decoded(), 2);
        // A file with other content is read and shown as it is.
        drop(pool);
        std::fs::write(&path, [9, 9]).unwrap();
        let pool = start();
        pool.want([DecodeRequest { content_hash: "known".to_owned(), ..part(4) }]);
        assert_eq!((wait(&pool).result.unwrap().rgb.first(), decoded()), (Some(&9), 3));
    }
}
