//! Measures and clears the disk cache of crops: counted on its own thread each time the settings screen is opened.

use super::memory::size_text;
use super::views::settings::CacheState;
use crate::jobs::{CropCache, OneShot, Waker};

#[derive(Default)]
pub(super) struct CacheSize {
    is_shown: bool,
    work: Option<OneShot<u64>>,
    state: CacheState,
}

impl CacheSize {
    /// Called once per frame, with whether the settings screen is shown.
    pub fn tick(&mut self, is_shown: bool, waker: &Waker) {
        if is_shown && !self.is_shown {
            self.start(CropCache::of_user(), false, waker);
        }
        self.is_shown = is_shown;
        match self.work.as_mut().and_then(OneShot::poll) {
            Some(Ok(bytes)) => {
                self.state.size = (bytes > 0).then(|| size_text(bytes));
                self.state.is_known = true;
                self.work = None;
            }
            Some(Err(reason)) => {
                self.state.error = Some(reason);
                self.work = None;
            }
            None => {}
        }
    }

    pub fn clear(&mut self, waker: &Waker) {
        self.start(CropCache::of_user(), true, waker);
    }

    pub fn state(&self) -> &CacheState {
        &self.state
    }

    fn start(&mut self, cache: Option<CropCache>, clears: bool, waker: &Waker) {
        self.state = CacheState::default();
        let Some(cache) = cache else { return };
        self.state.folder = Some(cache.folder().to_owned());
        let started = OneShot::start(
            "cache size",
            move |_, _| {
                if clears {
                    let failed = |error| format!("{} cannot be cleared: {error}", cache.folder().display());
                    cache.clear().map_err(failed)?;
                }
                Ok(cache.bytes())
            },
            waker.clone(),
        );
        match started {
            Ok(work) => self.work = Some(work),
            Err(error) => self.state.error = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn it_is_counted_and_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("crops");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("ab".repeat(32)), vec![0; 3_200_000]).unwrap();
        let waker: Waker = Arc::new(|| {});
        let mut size = CacheSize::default();
        let mut of = |clears| {
            size.start(Some(CropCache::new(folder.clone(), 1 << 30)), clears, &waker);
            let until = Instant::now() + Duration::from_mins(1);
            while !size.state().is_known {
                assert!(Instant::now() < until && size.state().error.is_none(), "{:?}", size.state());
                size.tick(false, &waker);
                std::thread::sleep(Duration::from_millis(2));
            }
            size.state().size.clone()
        };
        assert_eq!(of(false).as_deref(), Some("3 MB"));
        assert_eq!(of(true), None);
        assert_eq!(of(false), None);
    }
}
