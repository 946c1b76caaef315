//! A small pool that decodes images and cuts crops out of them, nearest first. Each list of requests replaces the one before, so that what
//! scrolled out of sight is never decoded.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use image::{RgbImage, imageops};

use super::{ByteCache, Waker};
use crate::domain::{CandidateId, ImageId, caught};
use crate::geometry::BoundingBox;

/// Decoded images that the pool keeps, in bytes.
const DECODED_BUDGET: usize = 96 << 20;
/// Finished images that may wait for the window.
const RESULT_QUEUE: usize = 256;
/// Longest side of a whole image: more than the window shows, less than what any graphics card takes.
pub const WHOLE_SIDE_MAX: u32 = 2048;
/// Pixels of a tile's sides.
pub const TILE_SIDE: u32 = 512;

/// Reads an image file as RGB and compares its bytes with the blake3 that they had when they were imported; or says why not.
pub type Decode = fn(&Path, &str) -> Result<Decoded, String>;

/// A image as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub image: RgbImage,
    /// The file is another than the one that was imported.
    pub is_changed: bool,
}

/// Which image: the whole image, or a part of it, at most `side` pixels wide and high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureKey {
    Whole(ImageId),
    Crop {
        candidate: CandidateId,
        side: u32,
    },
    /// The whole image, small.
    Thumbnail {
        image: ImageId,
        side: u32,
    },
    /// A square of [`TILE_SIDE`] pixels of the image shrunk `level` times by half.
    Tile {
        image: ImageId,
        level: u8,
        column: u16,
        row: u16,
    },
}

#[derive(Debug, Clone)]
pub struct PictureRequest {
    pub key: PictureKey,
    pub image: ImageId,
    pub path: PathBuf,
    /// blake3 of the file when it was imported, lower-case hex.
    pub content_hash: String,
    /// The part to cut out, in pixels of the image; `None` for the whole.
    pub region: Option<BoundingBox>,
}

/// RGB pixels ready to be shown, with the part of the image that they cover.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    pub covers: BoundingBox,
    /// The file is another than the one that was imported.
    pub is_changed: bool,
}

#[derive(Debug)]
pub struct Picture {
    pub key: PictureKey,
    pub result: Result<Pixels, String>,
}

struct State {
    wishes: VecDeque<PictureRequest>,
    in_work: HashSet<PictureKey>,
    decoded: ByteCache<ImageId, Arc<Decoded>>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    decode: Decode,
    waker: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool. Dropping it ends and joins its threads.
pub struct PicturePool {
    shared: Arc<Shared>,
    pictures: Option<Receiver<Picture>>,
    threads: Vec<JoinHandle<()>>,
}

impl PicturePool {
    pub fn start(threads: usize, decode: Decode, waker: Waker) -> std::io::Result<Self> {
        let state = State {
            wishes: VecDeque::new(),
            in_work: HashSet::new(),
            decoded: ByteCache::new(DECODED_BUDGET),
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), decode, waker });
        let (sender, pictures) = bounded(RESULT_QUEUE);
        let mut pool = Self { shared, pictures: Some(pictures), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let (shared, sender) = (Arc::clone(&pool.shared), sender.clone());
            let builder = std::thread::Builder::new().name(format!("Decoder {number}"));
            pool.threads.push(builder.spawn(move || work(&shared, &sender))?);
        }
        Ok(pool)
    }

    /// What is wanted now, most wanted first. Replaces all earlier wishes that no thread has begun.
    pub fn want(&self, wishes: impl IntoIterator<Item = PictureRequest>) {
        let mut state = self.shared.lock();
        let fresh = wishes.into_iter().filter(|w| !state.in_work.contains(&w.key)).collect();
        state.wishes = fresh;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The next finished image, if one waits.
    pub fn poll(&self) -> Option<Picture> {
        self.pictures.as_ref().and_then(|pictures| pictures.try_recv().ok())
    }
}

impl Drop for PicturePool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        self.pictures = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, sender: &Sender<Picture>) {
    while let Some(request) = next_wish(shared) {
        let made = caught(|| make(shared, &request));
        let result = made.unwrap_or_else(|panic| Err(format!("decoding failed: {}", panic.reported())));
        let closed = sender.send(Picture { key: request.key, result }).is_err();
        shared.lock().in_work.remove(&request.key);
        if closed {
            return;
        }
        (shared.waker)();
    }
}

fn next_wish(shared: &Shared) -> Option<PictureRequest> {
    let mut state = shared.lock();
    loop {
        if state.closed {
            return None;
        }
        if let Some(request) = state.wishes.pop_front() {
            state.in_work.insert(request.key);
            return Some(request);
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn make(shared: &Shared, request: &PictureRequest) -> Result<Pixels, String> {
    let kept = shared.lock().decoded.get(&request.image).cloned();
    let decoded = if let Some(decoded) = kept {
        decoded
    } else {
        let decoded = Arc::new((shared.decode)(&request.path, &request.content_hash)?);
        shared.lock().decoded.insert(request.image, Arc::clone(&decoded), decoded.image.as_raw().len());
        decoded
    };
    let side = match request.key {
        PictureKey::Whole(_) => WHOLE_SIDE_MAX,
        PictureKey::Crop { side, .. } | PictureKey::Thumbnail { side, .. } => side,
        PictureKey::Tile { .. } => TILE_SIDE,
    };
    Ok(cut(&decoded, request.region.as_ref(), side))
}

/// The pixels of `region` within the image, widened to whole pixels, shrunk (never enlarged) to fit `side`.
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

    fn whole(id: i64, path: &str) -> PictureRequest {
        let image = ImageId(id);
        PictureRequest {
            key: PictureKey::Whole(image),
            image,
            path: PathBuf::from(path),
            content_hash: "known".to_owned(),
            region: None,
        }
    }

    fn wait(pool: &PicturePool) -> Picture {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(picture) = pool.poll() {
                return picture;
            }
            assert!(Instant::now() < deadline, "no picture");
        }
    }

    #[test]
    fn wishes_no_longer_visible_are_dropped() {
        let pool = PicturePool::start(1, decode, Arc::new(|| {})).unwrap();
        pool.want([whole(1, "slow")]);
        std::thread::sleep(Duration::from_millis(20));
        pool.want((2..100).map(|id| whole(id, "slow")));
        pool.want([whole(1, "slow"), whole(100, "fast")]);
        assert_eq!(wait(&pool).key, PictureKey::Whole(ImageId(1)));
        assert_eq!(wait(&pool).key, PictureKey::Whole(ImageId(100)));
        std::thread::sleep(Duration::from_millis(30));
        assert!(pool.poll().is_none());
    }

    #[test]
    fn a_missing_or_broken_file_is_told_and_the_pool_lives_on() {
        let pool = PicturePool::start(1, decode, Arc::new(|| {})).unwrap();
        pool.want([whole(1, "missing"), whole(2, "broken"), whole(3, "good")]);
        assert_eq!(wait(&pool).result.unwrap_err(), "missing: no such file");
        assert!(wait(&pool).result.unwrap_err().contains("bad marker"));
        let good = wait(&pool).result.unwrap();
        assert_eq!((good.width, good.is_changed), (40, false));
        pool.want([PictureRequest { content_hash: "other".to_owned(), ..whole(4, "good") }]);
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
}
