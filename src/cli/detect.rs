//! `quarry detect --checkpoint FILE --images LIST.txt|DIR --out FILE`.

use std::path::PathBuf;

use super::console::{Console, cancel_on_ctrl_c};
use super::{Context, Replace};
use crate::workflow::detect::{DetectRequest, DetectionFormat, detect};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  quarry detect --checkpoint faces/runs/2 --images FDDB-fold-08.txt --root originalPics --out dets.txt"
)]
pub struct DetectArgs {
    /// A round's folder (PROJECT/runs/2), whose last checkpoint counts, or a checkpoint's model.safetensors
    #[arg(long, value_name = "DIR|FILE")]
    checkpoint: PathBuf,
    /// A folder of images, or a text file with one image name a line (with or without extension). Hidden files are passed over; images
    /// of a folder are named without extension, except where two would share a name
    #[arg(long, value_name = "LIST.txt|DIR")]
    images: PathBuf,
    /// What the names of the list are relative to
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    replace: Replace,
    #[arg(long, value_parser = ["fddb", "coco"], default_value = "fddb")]
    format: String,
    /// What to write: rectangles, or the ellipses of a detector that regresses them (in COCO's format as a field of its own)
    #[arg(long, value_parser = ["rectangle", "ellipse"], default_value = "rectangle")]
    shape: String,
    /// Detect on pictures this many times as large as the detector was trained on, 0.25 to 4 [default: the checkpoint's own]
    #[arg(long)]
    scale: Option<f64>,
    /// auto, cpu or cuda:0
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &DetectArgs, context: &Context) -> anyhow::Result<()> {
    let request = DetectRequest {
        checkpoint: args.checkpoint.clone(),
        images: args.images.clone(),
        root: args.root.clone(),
        out: args.replace.output(&args.out),
        format: if args.format == "coco" { DetectionFormat::Coco } else { DetectionFormat::Fddb },
        ellipses: args.shape == "ellipse",
        scale: args.scale,
        device: args.device.clone(),
    };
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = detect(&request, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print_done(&report, || {
        let done = format!(
            "{} detections of {} on {} images written to {}",
            report.detections,
            report.checkpoint.display(),
            report.images,
            report.out.display()
        );
        match report.unreadable.len() {
            0 => done,
            n => format!("{done}; {n} of the images could not be read and are left out of the file (see above)"),
        }
    })
}
