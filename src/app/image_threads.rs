//! The threads behind the Images screen: one reads the project, one the image files.

use crate::jobs::{FileChecker, ImageReader, Ticket, Waker, start_file_checker, start_image_reader};

/// The threads behind the Images screen, and their pending requests.
pub struct ImageThreads {
    pub reader: ImageReader,
    pub files: FileChecker,
    pub list: Option<Ticket>,
    pub open: Option<Ticket>,
}

impl ImageThreads {
    pub fn start(database: std::path::PathBuf, waker: &Waker) -> std::io::Result<Self> {
        let (reader, files) = (start_image_reader(database, waker.clone())?, start_file_checker(waker.clone())?);
        Ok(Self { reader, files, list: None, open: None })
    }
}
