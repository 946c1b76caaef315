//! How long a step will take, before one was made. Torch-free. Must not know how a step is made.

use super::config::RoundConfig;
use crate::detector::Architecture;

/// Seconds that a step of the half-width detector takes per picture of 300 x 400 pixels, times the cores that it ran on: `cargo bench
/// --bench loader` on two cores of a server of 2023.
const HALF_WIDTH_CORE_SECONDS: f64 = 0.56;

/// Seconds of a step with the settings `config`, from those of a round that was `measured` with the settings `of`: a step's work grows
/// with its images and their pixels. `None` for another network or another device, which say nothing about this one.
pub fn scaled_step_seconds(measured: f64, of: &RoundConfig, config: &RoundConfig) -> Option<f64> {
    let same = of.detector.architecture == config.detector.architecture && of.device == config.device;
    same.then(|| measured * work(config) / work(of))
}

/// Seconds of a step on a CPU with `cores` cores where nothing was measured yet; `None` for networks of unknown cost.
pub fn rough_step_seconds(config: &RoundConfig, cores: usize) -> Option<f64> {
    let half_width = [Architecture::ResNet50HalfFpn, Architecture::ResNet50HalfC4];
    let known = half_width.contains(&config.detector.architecture);
    known.then(|| HALF_WIDTH_CORE_SECONDS * work(config) / (300.0 * 300.0) / cores.max(1) as f64)
}

/// Images times the square of their shorter side.
fn work(config: &RoundConfig) -> f64 {
    config.images_per_step() as f64 * f64::from(config.detector.shorter_side).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_grows_with_images_and_pixels() {
        let cpu = RoundConfig::preset("cpu").unwrap();
        let mut larger = RoundConfig { batch_images: 4, ..cpu.clone() };
        larger.detector.shorter_side = 600;
        assert_eq!(scaled_step_seconds(1.5, &cpu, &larger), Some(12.0));
        assert_eq!(scaled_step_seconds(1.5, &cpu, &RoundConfig { device: "cuda:0".to_owned(), ..cpu.clone() }), None);
        let paper = RoundConfig::preset("paper").unwrap();
        assert_eq!(scaled_step_seconds(1.5, &cpu, &paper), None);
        let rough = rough_step_seconds(&cpu, 2).unwrap();
        assert!((rough - 0.56).abs() < 1e-9, "{rough}");
        assert_eq!(rough_step_seconds(&paper, 2), None);
    }
}
