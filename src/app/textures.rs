//! A texture cache with a byte budget and LRU eviction, and the list of images that this frame requests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};

use crate::geometry::BoundingBox;
use crate::jobs::{ByteCache, DecodeKey, DecodePool, DecodeRequest, DecodedPart, Pixels};

/// Byte budget of the textures.
const TEXTURE_BUDGET: usize = 192 << 20;

/// Interval after which an unreadable image is retried while shown: a disk may be mounted again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

struct Failure {
    reason: String,
    since: Instant,
}

struct Loaded {
    texture: TextureHandle,
    covers: BoundingBox,
    is_changed: bool,
}

/// What can be shown for an image.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Ready {
        texture: TextureId,
        covers: BoundingBox,
        /// The file differs from the imported one.
        is_changed: bool,
    },
    /// It is pending.
    Waiting,
    /// The file cannot be read, and why.
    Failed(String),
}

pub struct Textures {
    loaded: ByteCache<DecodeKey, Loaded>,
    failed: HashMap<DecodeKey, Failure>,
    requests: Vec<DecodeRequest>,
    requested: Vec<DecodeKey>,
}

impl Default for Textures {
    fn default() -> Self {
        Self {
            loaded: ByteCache::new(TEXTURE_BUDGET),
            failed: HashMap::new(),
            requests: Vec::new(),
            requested: Vec::new(),
        }
    }
}

impl Textures {
    /// Returns the image if it is loaded; otherwise requests it, in the order of this frame's calls.
    pub fn show(&mut self, request: DecodeRequest) -> Shown {
        if let Some(loaded) = self.loaded.get(&request.key) {
            let Loaded { texture, covers, is_changed } = loaded;
            return Shown::Ready { texture: texture.id(), covers: *covers, is_changed: *is_changed };
        }
        if let Some(failure) = self.failed.get(&request.key) {
            if failure.since.elapsed() >= RETRY_PAUSE {
                self.requests.push(request);
            }
            return Shown::Failed(failure.reason.clone());
        }
        self.requests.push(request);
        Shown::Waiting
    }

    /// Whether it is loaded.
    pub fn holds(&self, key: &DecodeKey) -> bool {
        self.loaded.contains(key)
    }

    /// Whether it is neither loaded nor known to be unreadable.
    pub fn is_awaited(&self, key: &DecodeKey) -> bool {
        !self.holds(key) && !self.failed.contains_key(key)
    }

    /// Returns why it cannot be shown.
    pub fn failure(&self, key: &DecodeKey) -> Option<&str> {
        self.failed.get(key).map(|failure| failure.reason.as_str())
    }

    /// Requests an image that will be shown soon.
    pub fn prefetch(&mut self, request: DecodeRequest) {
        self.show(request);
    }

    /// Accepts a finished image.
    pub fn accept(&mut self, ctx: &Context, picture: DecodedPart) {
        match picture.result {
            Ok(pixels) => self.load(ctx, picture.key, &pixels),
            Err(reason) => {
                self.failed.insert(picture.key, Failure { reason, since: Instant::now() });
                ctx.request_repaint_after(RETRY_PAUSE);
            }
        }
    }

    fn load(&mut self, ctx: &Context, key: DecodeKey, pixels: &Pixels) {
        let size = [pixels.width as usize, pixels.height as usize];
        let image = ColorImage::from_rgb(size, &pixels.rgb);
        let texture = ctx.load_texture(format!("{key:?}"), image, TextureOptions::LINEAR);
        self.failed.remove(&key);
        self.loaded.insert(
            key,
            Loaded { texture, covers: pixels.covers, is_changed: pixels.is_changed },
            size[0] * size[1] * 4,
        );
    }

    /// Sends this frame's requests to the pool if they changed.
    pub fn send_requests(&mut self, pool: &DecodePool) {
        let requests = std::mem::take(&mut self.requests);
        let keys: Vec<DecodeKey> = requests.iter().map(|r| r.key).collect();
        if keys != self.requested {
            pool.want(requests);
            self.requested = keys;
        }
    }

    /// Retries unreadable images: the file may be available again.
    pub fn forget_failures(&mut self) {
        self.failed.clear();
        self.requested.clear();
    }

    /// Clears everything when another project is opened.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
