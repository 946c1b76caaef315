//! `quarry detect --checkpoint FILE --images LIST.txt|DIR --out FILE`.

use std::path::PathBuf;

use super::console::{Console, cancel_on_ctrl_c};
use super::{Context, Replace, mine};
use crate::detector::Precision;
use crate::domain::{counted, counted_as};
use crate::workflow::detect::{DetectRequest, DetectionFormat, detect};
use crate::workflow::shards::{Shard, detect_shard};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  quarry detect --checkpoint faces/runs/2 --images FDDB-fold-08.txt --root originalPics --out dets.txt"
)]
pub struct DetectArgs {
    /// A round's folder (PROJECT/runs/2), whose last checkpoint is used, a model.safetensors, or a third-party ONNX or TorchScript model
    /// (docs/models.md)
    #[arg(long, value_name = "DIR|FILE")]
    checkpoint: PathBuf,
    /// A folder of images, or a text file with one image name per line (with or without extension). Hidden files are skipped; images of a
    /// folder are named without extension unless two would share a name
    #[arg(long, value_name = "LIST.txt|DIR")]
    images: PathBuf,
    /// Folder that the names of the list are relative to
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The file to write; with --shard, the folder for the shard's file
    #[arg(long, value_name = "FILE|DIR")]
    out: PathBuf,
    /// Detect on this part of the images only, e.g. 3/64, and write a file for `quarry merge`, which takes --format and --shape
    #[arg(long, value_name = "N/COUNT")]
    shard: Option<Shard>,
    #[command(flatten)]
    replace: Replace,
    /// The format; FDDB's text has no classes, so each class gets a file, such as found-cat.txt and found-dog.txt
    #[arg(long, value_parser = ["fddb", "coco"], default_value = "fddb")]
    format: String,
    /// Shapes to write: rectangles, or the ellipses of a detector with an ellipse head (in COCO format, a separate field)
    #[arg(long, value_parser = ["rectangle", "ellipse"], default_value = "rectangle")]
    shape: String,
    /// Size of the images relative to training, 0.25 to 4 [default: the checkpoint's]
    #[arg(long)]
    scale: Option<f64>,
    /// Precision of the network: f32, or bf16, which is faster on processors with bfloat16 instructions and changes some boxes and scores
    /// [default: the checkpoint's]
    #[arg(long, value_parser = ["f32", "bf16"])]
    precision: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &DetectArgs, context: &Context) -> anyhow::Result<()> {
    let request = DetectRequest {
        checkpoint: args.checkpoint.clone(),
        images: args.images.clone(),
        root: args.root.clone(),
        out: args.replace.output(&args.out),
        format: DetectionFormat::parse(&args.format),
        ellipses: args.shape == "ellipse",
        scale: args.scale,
        precision: args.precision.as_deref().and_then(Precision::parse),
        device: args.device.clone(),
    };
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    if let Some(shard) = args.shard {
        let report = detect_shard(&request, shard, &mut |e| console.show(e), &cancel)?;
        drop(console);
        return context.print_done(&report, || mine::shard_in_words(&report));
    }
    let report = detect(&request, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print_done(&report, || {
        let done = format!(
            "{} of {} on {} written to {}",
            counted(report.detections, "detection"),
            report.checkpoint.display(),
            counted(report.images, "image"),
            report.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
        );
        match report.unreadable.len() {
            0 => done,
            n => {
                let left_out = counted_as(n, "image could not be read and is", "images could not be read and are");
                format!("{done}; {left_out} left out of the file (see above)")
            }
        }
    })
}
