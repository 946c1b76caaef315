//! The detector trait: prepares images and detects on them in batches.

use image::RgbImage;

use super::WorkflowError;

/// Number of batches collected before images of similar size are batched together.
const BATCHES_OF_A_SPAN: usize = 4;

/// A model that detects objects in images. Images are prepared one by one on any thread, and processed in batches on the caller's.
pub(super) trait DetectionSource {
    /// An image prepared for the model.
    type Ready: Send + 'static;
    /// A detected object.
    type Found;

    /// Returns the function that prepares images.
    fn preparer(&self) -> impl Fn(&RgbImage) -> Result<Self::Ready, WorkflowError> + Send + Sync;

    /// Returns the memory of a prepared image.
    fn bytes(ready: &Self::Ready) -> u64;

    /// Images with equal shapes can share a batch without affecting their detections.
    fn shape(ready: &Self::Ready) -> (u32, u32);

    /// Returns the batch size suited to the device.
    fn batch_images(&self) -> usize;

    /// Returns the number of batches collected before images of similar shape are grouped: one if all have the same shape.
    fn batches_at_once(&self) -> usize {
        BATCHES_OF_A_SPAN
    }

    /// Returns each image's detections, best first.
    fn detect(&self, images: &[&Self::Ready]) -> Result<Vec<Vec<Self::Found>>, WorkflowError>;
}
