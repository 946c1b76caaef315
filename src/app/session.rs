//! The open project: the threads that read and write it, and what was read. Must not know how it is shown.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::views::review::{Order, ReviewFilter, ShownVerdicts};
use crate::dataset::decode_rgb;
use crate::domain::{ImageId, RoundId};
use crate::jobs::{
    ByteCache, ImageDetail, Overview, PicturePool, ProjectReader, ReadRequest, Ticket, VerdictWriter, Waker,
    WriteRequest, start_reader, start_writer,
};
use crate::store::{CandidateQuery, CandidateRow, Cursor, Interval, Sort, VerdictFilter};
use crate::workflow::Project;

/// Candidates of one page.
const PAGE: usize = 500;
/// Threads that decode photographs.
const DECODERS: usize = 2;
/// Budget of the details kept, counted as one byte each.
const DETAILS_KEPT: usize = 400;

/// What is drawn over images, as far as it was read.
pub struct Details {
    images: HashMap<(ImageId, RoundId), ImageDetail>,
    order: ByteCache<(ImageId, RoundId), ()>,
    asked: HashSet<(ImageId, RoundId)>,
    pub overview: Overview,
}

impl Default for Details {
    fn default() -> Self {
        let order = ByteCache::new(DETAILS_KEPT);
        Self { images: HashMap::new(), order, asked: HashSet::new(), overview: Overview::default() }
    }
}

impl Details {
    pub fn get(&self, row: &CandidateRow) -> Option<&ImageDetail> {
        self.images.get(&(row.candidate.image, row.candidate.round))
    }

    /// Where the photograph of a candidate lies.
    pub fn path_of(&self, row: &CandidateRow) -> Option<PathBuf> {
        self.overview.paths.get(&row.candidate.image).cloned()
    }

    /// The numbers of the project's rounds.
    pub fn rounds(&self) -> impl Iterator<Item = u32> {
        self.overview.rounds.iter().map(|round| round.number)
    }

    pub fn insert(&mut self, round: RoundId, detail: ImageDetail) {
        let key = (detail.record.id, round);
        self.asked.remove(&key);
        self.images.insert(key, detail);
        self.order.insert(key, (), 1);
        let order = &self.order;
        self.images.retain(|key, _| order.contains(key));
    }

    /// Ground truth of these images is another now.
    fn forget(&mut self, image: ImageId) {
        self.images.retain(|(known, _), _| *known != image);
    }
}

/// The open project.
pub struct Session {
    pub project: Project,
    pub writer: VerdictWriter,
    pub reader: ProjectReader,
    pub pictures: PicturePool,
    pub details: Details,
    /// What each open read request is for; answers to others are out of date.
    pub page_ticket: Option<Ticket>,
    pub count_ticket: Option<Ticket>,
    detail_tickets: HashMap<Ticket, RoundId>,
    notes_tickets: HashSet<Ticket>,
    cursor: Option<Cursor>,
}

impl Session {
    /// Starts the threads; the project is looked at on them.
    pub fn open(project: Project, waker: &Waker) -> std::io::Result<Self> {
        let decode = |path: &std::path::Path| decode_rgb(path).map_err(|e| e.to_string());
        let mut session = Self {
            writer: start_writer(project.database(), waker.clone())?,
            reader: start_reader(project.database(), waker.clone())?,
            pictures: PicturePool::start(DECODERS, decode, waker.clone())?,
            project,
            details: Details::default(),
            page_ticket: None,
            count_ticket: None,
            detail_tickets: HashMap::new(),
            notes_tickets: HashSet::new(),
            cursor: None,
        };
        session.refresh();
        Ok(session)
    }

    /// Reads anew what the rounds changed.
    pub fn refresh(&mut self) {
        self.reader.ask(ReadRequest::Overview);
        self.reader.ask(ReadRequest::Curves);
    }

    /// Has the notes of a round written.
    pub fn write_notes(&mut self, round: RoundId, notes: String) {
        let ticket = self.writer.ask(WriteRequest::Notes { round, notes });
        self.notes_tickets.insert(ticket);
    }

    /// Whether an answer of the writer is about notes, not about a verdict.
    pub fn is_about_notes(&mut self, ticket: Ticket) -> bool {
        self.notes_tickets.remove(&ticket)
    }

    /// Asks for the first page of a filter and for the count of all.
    pub fn start_query(&mut self, filter: &ReviewFilter) {
        self.cursor = None;
        let query = Box::new(self.query(filter));
        self.page_ticket = Some(self.reader.ask(ReadRequest::Page { query: query.clone(), after: None, limit: PAGE }));
        self.count_ticket = Some(self.reader.ask(ReadRequest::Count { query }));
    }

    /// Asks for the page after the last one, unless one is on its way.
    pub fn next_page(&mut self, filter: &ReviewFilter) {
        if self.page_ticket.is_some() || self.cursor.is_none() {
            return;
        }
        let query = Box::new(self.query(filter));
        let request = ReadRequest::Page { query, after: self.cursor, limit: PAGE };
        self.page_ticket = Some(self.reader.ask(request));
    }

    pub fn page_came(&mut self, next: Option<Cursor>) {
        self.page_ticket = None;
        self.cursor = next;
    }

    /// Asks for what is drawn over the images of these candidates, where it is not there yet.
    pub fn want_details<'a>(&mut self, rows: impl Iterator<Item = &'a CandidateRow>) {
        for row in rows {
            let key = (row.candidate.image, row.candidate.round);
            if self.details.order.get(&key).is_some() && self.details.images.contains_key(&key) {
                continue;
            }
            if self.details.asked.insert(key) {
                let ticket = self.reader.ask(ReadRequest::Image { image: key.0, round: key.1 });
                self.detail_tickets.insert(ticket, key.1);
            }
        }
    }

    /// The round that an answered image request was for.
    pub fn detail_round(&mut self, ticket: Ticket) -> Option<RoundId> {
        self.detail_tickets.remove(&ticket)
    }

    /// A face was promoted or taken back on this image: what is drawn over it has to be read again.
    pub fn image_changed(&mut self, image: ImageId) {
        self.details.forget(image);
    }

    /// The filter in the store's words.
    fn query(&self, filter: &ReviewFilter) -> CandidateQuery {
        let number = |number: u32| self.details.overview.rounds.iter().find(|r| r.number == number).map(|r| r.id);
        let (sort, descending) = match filter.order {
            Order::Score => (Sort::Score, true),
            Order::MaxIou => (Sort::Iou, true),
            Order::Size => (Sort::Size, true),
            Order::Image => (Sort::Image, false),
            Order::Random => (Sort::Random, false),
        };
        CandidateQuery {
            round: filter.round.and_then(number),
            kind: filter.kind,
            verdict: match filter.verdicts {
                ShownVerdicts::Undecided => VerdictFilter::Undecided,
                ShownVerdicts::All => VerdictFilter::Any,
                ShownVerdicts::Decided => VerdictFilter::Decided,
                ShownVerdicts::Only(verdict) => VerdictFilter::Is(verdict),
            },
            score: Interval::new(f64::from(filter.score.0), f64::from(filter.score.1)),
            image_name: filter.name.clone(),
            sort,
            descending,
            ..CandidateQuery::default()
        }
    }
}
