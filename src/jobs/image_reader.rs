//! The read-only threads of the Images screen: one loads the rounds' detections on the images, one checks whether files exist.

use std::path::PathBuf;
use std::sync::Arc;

use super::{OwnerThread, Waker};
use crate::domain::ImageId;
use crate::store::Store;
use crate::workflow::WorkflowError;
use crate::workflow::inspect::{
    FileDepth, FileProblem, FileProblems, ImageQuery, Inspector, Listing, OpenQuery, OpenedImage, check_file,
};

#[derive(Debug, Clone, PartialEq)]
pub enum ImageRequest {
    List { query: Box<ImageQuery>, problems: Arc<FileProblems> },
    Open(Box<OpenQuery>),
}

#[derive(Debug)]
pub enum ImageReply {
    Listing(Arc<Listing>),
    Opened(Box<OpenedImage>),
}

pub type ImageReader = OwnerThread<ImageRequest, ImageReply>;

/// Opens `database` read-only on its own thread, so that loading a large round's detections does not block anything else.
pub fn start_image_reader(database: PathBuf, waker: Waker) -> std::io::Result<ImageReader> {
    let open = move || {
        let store = Store::open_read_only(&database).map_err(|error| error.to_string())?;
        Ok((store, Inspector::default()))
    };
    let serve = |(store, inspector): &mut (Store, Inspector), request| {
        answer(store, inspector, request).map_err(|error| error.to_string())
    };
    OwnerThread::start("Image reader", open, serve, waker)
}

fn answer(store: &Store, inspector: &mut Inspector, request: ImageRequest) -> Result<ImageReply, WorkflowError> {
    Ok(match request {
        ImageRequest::List { query, problems } => {
            ImageReply::Listing(Arc::new(inspector.list(store, &query, &problems)?))
        }
        ImageRequest::Open(query) => ImageReply::Opened(Box::new(inspector.open(store, &query)?)),
    })
}

/// A file with the blake3 of its expected content.
#[derive(Debug, Clone, PartialEq)]
pub struct FileToCheck {
    pub image: ImageId,
    pub path: PathBuf,
    pub content_hash: String,
}

/// Files to check, and how thoroughly.
pub type FileRequest = (Vec<FileToCheck>, FileDepth);

pub type FileChecker = OwnerThread<FileRequest, Vec<(ImageId, Option<FileProblem>)>>;

/// Starts a thread that checks files.
pub fn start_file_checker(waker: Waker) -> std::io::Result<FileChecker> {
    let serve = |(): &mut (), (files, depth): FileRequest| {
        let check = |file: FileToCheck| (file.image, check_file(&file.path, &file.content_hash, depth));
        Ok(files.into_iter().map(check).collect())
    };
    OwnerThread::start("File checker", || Ok(()), serve, waker)
}
