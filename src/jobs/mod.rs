//! Long work for the app: named threads, bounded queues, wakers. The only threads of the app live here. Must not know egui: a worker
//! gets a [`Waker`] and calls it last, with no lock held.

mod backups;
mod byte_cache;
mod clerk;
mod curve_news;
mod pictures;
mod reader;
mod work;
mod writer;

pub use backups::{BackupKeeper, start_backups};
pub use byte_cache::ByteCache;
pub use clerk::{Answer, Clerk, Ticket};
pub use curve_news::{CurveNews, ReadCurve};
pub use pictures::{Decode, Decoded, Picture, PictureKey, PicturePool, PictureRequest, Pixels};
pub use reader::{ImageDetail, Overview, ProjectReader, REVIEW_FILTER, ReadReply, ReadRequest, start_reader};
pub use work::{Job, JobBoard, JobError, JobKind, JobNews, Outcome, Work};
pub use writer::{Annotator, Damage, VerdictWriter, WriteReply, WriteRequest, Written, start_writer};

use std::sync::Arc;

/// Asks the window for another frame. Cheap, callable from any thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Turns the payload of a panic into the sentence that it carried.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
