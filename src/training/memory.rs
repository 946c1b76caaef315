//! Recovery when the device runs out of memory: the round continues with smaller mini-batches.

use super::config::RoundConfig;

/// Minimum number of RoIs per image that still allows training.
const FEWEST_ROIS: usize = 16;

/// Whether an error message (ultimately libtorch's) says that memory ran out.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    const WORDS: [&str; 4] = ["out of memory", "can't allocate memory", "not enough memory", "status_alloc_failed"];
    let message = message.to_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// Returns settings that need less memory and a description of the change; `None` if nothing is left to halve. Images are distributed over
/// more mini-batches, so that a step sees the same images; with one image per mini-batch, its RoIs are halved.
pub(super) fn halved(config: &RoundConfig) -> Option<(RoundConfig, String)> {
    let images = config.batch_images;
    if let Some(parts) = (2..=images).find(|parts| images.is_multiple_of(*parts)) {
        let smaller =
            RoundConfig { batch_images: images / parts, accumulate: config.accumulate * parts, ..config.clone() };
        let what = format!(
            "images in a mini-batch: {} instead of {images}, mini-batches in a step: {} instead of {}",
            smaller.batch_images, smaller.accumulate, config.accumulate
        );
        return Some((smaller, what));
    }
    let rois = config.sampler.batch_per_image / 2;
    if rois < FEWEST_ROIS {
        return None;
    }
    let mut smaller = config.clone();
    smaller.sampler.batch_per_image = rois;
    let what = format!("RoIs of an image: {rois} instead of {}", config.sampler.batch_per_image);
    Some((smaller, what))
}

/// Halves `config` `times` times, to resume a round that was halved before.
pub(super) fn halved_times(config: &RoundConfig, times: u32) -> RoundConfig {
    (0..times).fold(config.clone(), |config, _| halved(&config).map_or(config, |(smaller, _)| smaller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_apart_by_the_words_of_its_errors() {
        let check = |text: &str, expected: bool| assert_eq!(is_out_of_memory(text), expected, "{text}");
        check("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 7.79 GiB total capacity)", true);
        check("CUDA error: out of memory", true);
        check("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to", true);
        check("DefaultCPUAllocator: not enough memory: you tried to allocate 90 bytes", true);
        check("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", true);
        check("index 9 is out of bounds for dimension 0 with size 4", false);
        check("CUDA error: an illegal memory access was encountered", false);
    }

    #[test]
    fn images_are_halved_first_then_rois_and_a_step_sees_the_same_images() {
        let sizes = |images: u32, accumulate: u32, rois: usize| {
            let mut config = RoundConfig { batch_images: images, accumulate, ..RoundConfig::preset("cpu").unwrap() };
            config.sampler.batch_per_image = rois;
            let mut all = Vec::new();
            while let Some((smaller, _)) = halved(&config) {
                assert_eq!(smaller.images_per_step(), config.images_per_step());
                smaller.check().unwrap();
                config = smaller;
                all.push((config.batch_images, config.accumulate, config.sampler.batch_per_image));
            }
            all
        };
        assert_eq!(sizes(4, 1, 64), [(2, 2, 64), (1, 4, 64), (1, 4, 32), (1, 4, 16)]);
        assert_eq!(sizes(3, 2, 16), [(1, 6, 16)]);
        assert_eq!(sizes(1, 1, 20), []);
        let (config, what) = halved(&RoundConfig::preset("sample").unwrap()).unwrap();
        assert!(what.contains("1 instead of 2"), "{what}");
        assert_eq!(config, halved_times(&RoundConfig::preset("sample").unwrap(), 1));
    }
}
