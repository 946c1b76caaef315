//! Background work of the app: named threads, bounded queues, wakers. All threads of the app start here. A worker gets a [`Waker`] and
//! calls it last, without holding a lock.

mod backups;
mod byte_cache;
mod crop_cache;
mod curve_news;
mod decode_pool;
mod decode_request;
mod image_reader;
mod one_shot;
mod owner_thread;
mod reader;
mod watch;
mod work;
mod writer;

pub use backups::{BackupKeeper, start_backups};
pub use byte_cache::ByteCache;
pub use crop_cache::{CropCache, LARGE_PIXELS};
pub use curve_news::{CurveNews, ReadCurve};
pub use decode_pool::{Decode, DecodePool, Decoded, DecodedPart};
pub use decode_request::{DecodeKey, DecodeRequest, Pixels, TILE_SIDE, WHOLE_SIDE_MAX};
pub use image_reader::{
    FileChecker, FileToCheck, ImageReader, ImageReply, ImageRequest, start_file_checker, start_image_reader,
};
pub use one_shot::OneShot;
pub use owner_thread::{Answer, OwnerThread, Ticket};
pub use reader::{ImageDetail, Overview, ProjectReader, REVIEW_FILTER, ReadReply, ReadRequest, start_reader};
pub use watch::{ProjectWatch, start_watch};
pub use work::{Job, JobBoard, JobError, JobKind, JobNews, Outcome, Work};
pub use writer::{Annotator, Damage, VerdictWriter, WriteReply, WriteRequest, Written, start_writer};

use std::sync::Arc;

/// Requests another frame of the window. Cheap, callable from any thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;
