//! The trait of a detector: prepares images and detects on them, batch by batch.

use image::RgbImage;

use super::WorkflowError;

/// This many batches are gathered before images of like size are put together.
const BATCHES_OF_A_SPAN: usize = 4;

/// A model that finds objects in images. Images are made ready one by one on any thread, and detected on in batches on the caller's.
pub(super) trait DetectionSource {
    /// An image as the model takes it.
    type Ready: Send + 'static;
    /// An object that was found.
    type Found;

    /// How images are made ready.
    fn preparer(&self) -> impl Fn(&RgbImage) -> Result<Self::Ready, WorkflowError> + Send + Sync;

    /// Memory of an image that is ready.
    fn bytes(ready: &Self::Ready) -> u64;

    /// Images that are equal in this can share a batch without a change of what is found on them.
    fn shape(ready: &Self::Ready) -> (u32, u32);

    /// Images of a batch that suit the device.
    fn batch_images(&self) -> usize;

    /// Batches that are gathered before images of like shape are put together: one where all have the same.
    fn batches_at_once(&self) -> usize {
        BATCHES_OF_A_SPAN
    }

    /// What is found on each image, best first.
    fn detect(&self, images: &[&Self::Ready]) -> Result<Vec<Vec<Self::Found>>, WorkflowError>;
}
