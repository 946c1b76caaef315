//! The open project: the threads that read and write it, and the loaded data.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::command::{Order, ReviewFilter, SIZE_MAX, ShownTrace, ShownVerdicts};
use super::details::Details;
use super::image_threads::ImageThreads;
use super::views::review::{HISTORY_PAGE, HistoryModel};
use crate::dataset::decode_rgb_checked;
use crate::domain::{CandidateId, ClassId, GroupId, ImageId, RoundId, Share};
use crate::jobs::{
    Annotator, Answer, BackupKeeper, CropCache, Damage, DecodePool, Decoded, ProjectReader, ProjectWatch,
    REVIEW_FILTER, ReadReply, ReadRequest, Ticket, VerdictWriter, Waker, WriteRequest, start_backups, start_reader,
    start_watch, start_writer,
};
use crate::mining::GroupConfig;
use crate::store::{CandidateQuery, CandidateRow, Cursor, HistoryQuery, Interval, LogNews, Sort, VerdictFilter};
use crate::workflow::Project;

/// Number of candidates on the first page, which the screen waits for, and on each further page.
const FIRST_PAGE: usize = 100;
const PAGE: usize = 500;
/// A request for a candidate beyond this row is answered without its position.
const FURTHEST: usize = 20_000;
/// Number of image decoding threads.
const DECODERS: usize = 2;
/// Minimum interval between counts of the review while verdicts arrive.
const NUMBERS_PAUSE: Duration = Duration::from_millis(400);
/// Minimum interval between counts of inheritable verdicts while verdicts arrive.
const INHERITABLE_PAUSE: Duration = Duration::from_secs(3);
/// Maximum number of group members shown with a candidate.
pub const MEMBERS_SHOWN: usize = 24;

/// The open project.
pub struct Session {
    pub project: Project,
    pub reader: ProjectReader,
    /// Performs slow reads in parallel to those that the screen waits for.
    slow_reader: ProjectReader,
    inheritable_ticket: Option<Ticket>,
    inheritable_wanted: bool,
    inheritable_requested: Option<Instant>,
    preview_ticket: Option<Ticket>,
    members_asked: Option<GroupId>,
    /// Reports commits by other programs.
    pub watch: ProjectWatch,
    /// This window's decisions that the watch has not reported yet.
    own_gestures: HashSet<i64>,
    pub pictures: DecodePool,
    /// Started when the Images screen is first shown.
    pub images: Option<ImageThreads>,
    backups: BackupKeeper,
    pub details: Details,
    /// The purpose of each pending read request; replies to others are outdated.
    pub page_ticket: Option<Ticket>,
    pub count_ticket: Option<Ticket>,
    detail_tickets: HashMap<Ticket, (ImageId, RoundId)>,
    background: HashMap<Ticket, Background>,
    cursor: Option<Cursor>,
    has_first_page: bool,
    /// The database is damaged and read-only.
    pub damage: Option<Damage>,
    pub numbers_ticket: Option<Ticket>,
    /// The last counts may be outdated.
    pub numbers_wanted: bool,
    numbers_requested: Option<Instant>,
    /// The first read; everything else is requested after its reply.
    set_up_ticket: Option<Ticket>,
    /// The pending page of the log.
    pub history_requested: Option<HistoryRequest>,
    pub revisit_ticket: Option<Ticket>,
    /// The candidate that the review returns to.
    return_ticket: Option<Ticket>,
    /// Dropped last: it checkpoints the database, which requires that no other connection is open.
    pub writer: VerdictWriter,
}

/// A requested page of the log.
pub struct HistoryRequest {
    ticket: Ticket,
    /// Whether it is the newest page.
    from_start: bool,
    batch: Option<i64>,
}

/// What the writer does besides verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    Notes,
    Setting,
    ImageMark,
    Health,
    /// A decision on the Images screen.
    Images,
}

impl Session {
    /// Starts the threads, which open the project.
    pub fn open(project: Project, waker: &Waker) -> std::io::Result<Self> {
        let decode = |path: &std::path::Path, content_hash: &str| {
            let (image, is_changed) = decode_rgb_checked(path, content_hash).map_err(|e| e.to_string())?;
            Ok(Decoded { image, is_changed })
        };
        let mut session = Self {
            writer: start_writer(project.database(), waker.clone())?,
            reader: start_reader(project.database(), waker.clone())?,
            slow_reader: start_reader(project.database(), waker.clone())?,
            inheritable_ticket: None,
            inheritable_wanted: false,
            inheritable_requested: None,
            preview_ticket: None,
            members_asked: None,
            watch: start_watch(project.database(), waker.clone())?,
            own_gestures: HashSet::new(),
            pictures: DecodePool::start(DECODERS, decode, CropCache::of_user(), waker.clone())?,
            images: None,
            backups: start_backups(project.database(), waker.clone())?,
            project,
            details: Details::default(),
            page_ticket: None,
            count_ticket: None,
            detail_tickets: HashMap::new(),
            background: HashMap::new(),
            cursor: None,
            has_first_page: false,
            damage: None,
            numbers_ticket: None,
            numbers_wanted: false,
            numbers_requested: None,
            set_up_ticket: None,
            history_requested: None,
            revisit_ticket: None,
            return_ticket: None,
        };
        session.ask_health();
        session.set_up_ticket = Some(session.reader.ask(ReadRequest::ReviewSetUp));
        Ok(session)
    }

    /// Whether this is the reply that opening waits for. Whatever its content, the rest is requested next: first the queue's first page,
    /// which the user waits for, then counts of the whole project.
    pub fn is_set_up(&mut self, ticket: Ticket) -> bool {
        self.set_up_ticket.take_if(|requested| *requested == ticket).is_some()
    }

    /// Reloads what the rounds changed.
    pub fn refresh(&mut self) {
        self.reader.ask(ReadRequest::Overview);
        self.reader.ask(ReadRequest::Curves);
    }

    /// Writes the notes of a round.
    pub fn write_notes(&mut self, round: RoundId, notes: String) {
        self.write_in_background(Background::Notes, WriteRequest::Notes { round, notes });
    }

    /// Toggles an annotator's mark that an image is completely annotated.
    pub fn mark_image(&mut self, image: ImageId, by: Annotator) {
        self.write_in_background(Background::ImageMark, WriteRequest::MarkImage { image, by });
    }

    /// Stores the review's filter with the project.
    pub fn write_filter(&mut self, filter: &ReviewFilter) {
        if self.damage.is_none() {
            let request = WriteRequest::Setting { name: REVIEW_FILTER, value: filter.to_json() };
            self.write_in_background(Background::Setting, request);
        }
    }

    /// Called when the random order is chosen: it samples what is undecided now.
    pub fn begin_sample(&mut self) {
        if self.damage.is_none() {
            self.write_in_background(Background::Setting, WriteRequest::BeginSample);
        }
    }

    /// Requests a backup if one is due and none is pending.
    pub fn keep_backups(&mut self) {
        if self.damage.is_none() && self.backups.open_requests() == 0 {
            self.backups.ask(());
        }
    }

    /// Returns the backup thread's reply: damage that it found, or why the last backup failed.
    pub fn poll_backups(&mut self) -> Option<Result<Option<Damage>, String>> {
        self.backups.poll().map(|answer| answer.result)
    }

    /// Handles damage found while the database is open: nothing more is written.
    pub fn found_damage(&mut self, damage: Damage) {
        if self.damage.is_none() {
            self.damage = Some(damage.clone());
            self.write_in_background(Background::Health, WriteRequest::Close(damage));
        }
    }

    /// Records that a gesture of this window is in the logs.
    pub fn gave(&mut self, gesture: i64) {
        self.own_gestures.insert(gesture);
    }

    /// Returns the log rows that were not decided in this window, and whether there are any.
    pub fn of_others(&mut self, mut news: LogNews) -> (LogNews, bool) {
        let before = news.verdicts.len() + news.corrections.len();
        let newest = news.verdicts.iter().map(|(gesture, _)| *gesture).max();
        let newest = newest.max(news.corrections.iter().map(|(gesture, _)| *gesture).max());
        news.verdicts.retain(|(gesture, _)| !self.own_gestures.contains(gesture));
        news.corrections.retain(|(gesture, _)| !self.own_gestures.contains(gesture));
        let has_own = news.verdicts.len() + news.corrections.len() < before;
        if let Some(newest) = newest.filter(|_| !news.is_cut) {
            self.own_gestures.retain(|gesture| *gesture > newest);
        }
        (news, has_own)
    }

    /// Checks whether the database can still be written.
    pub fn ask_health(&mut self) {
        self.write_in_background(Background::Health, WriteRequest::Health);
    }

    pub fn write_in_background(&mut self, what: Background, request: WriteRequest) {
        let ticket = self.writer.ask(request);
        self.background.insert(ticket, what);
    }

    /// Returns the purpose of a writer reply that is not about a verdict.
    pub fn background_write(&mut self, ticket: Ticket) -> Option<Background> {
        self.background.remove(&ticket)
    }

    /// Requests the review's progress, unless that is pending or was just answered. Returns false if it should be requested again soon.
    pub fn want_numbers(&mut self, filter: &ReviewFilter, by: &Annotator) -> bool {
        if !self.numbers_wanted || self.numbers_ticket.is_some() {
            return true;
        }
        if self.numbers_requested.is_some_and(|requested| requested.elapsed() < NUMBERS_PAUSE) {
            return false;
        }
        let (query, annotator) = (Box::new(self.query(filter, by)), by.only().map(str::to_owned));
        self.numbers_ticket = Some(self.reader.ask(ReadRequest::Numbers { query, annotator }));
        self.numbers_requested = Some(Instant::now());
        self.numbers_wanted = false;
        true
    }

    pub fn inheritable_ticket(&self) -> Option<Ticket> {
        self.inheritable_ticket
    }

    /// Returns the slow reader's reply.
    pub fn poll_slow(&mut self) -> Option<Answer<ReadReply>> {
        let answer = self.slow_reader.poll()?;
        self.inheritable_ticket.take_if(|requested| *requested == answer.ticket);
        self.preview_ticket.take_if(|requested| *requested == answer.ticket);
        Some(answer)
    }

    /// Requests inheritable verdicts, unless that is pending or was just answered.
    pub fn want_inheritable(&mut self, filter: &ReviewFilter, by: &Annotator) {
        let is_just_now = self.inheritable_requested.is_some_and(|requested| requested.elapsed() < INHERITABLE_PAUSE);
        let has_rounds = self.details.overview.rounds.len() > 1 && !by.blind;
        if !self.inheritable_wanted || self.inheritable_ticket.is_some() || is_just_now || !has_rounds {
            return;
        }
        let query = Box::new(self.query(filter, by));
        self.inheritable_ticket = Some(self.slow_reader.ask(ReadRequest::Inheritable { query }));
        self.inheritable_requested = Some(Instant::now());
        self.inheritable_wanted = false;
    }

    /// Called when verdicts or the filter changed: the reported inheritable verdicts may be outdated.
    pub fn inheritable_changed(&mut self) {
        self.inheritable_wanted = true;
    }

    /// Requests how many decisions other grouping settings would leave, one after the other.
    pub fn want_preview(&mut self, grouping: GroupConfig) {
        if self.preview_ticket.is_none() {
            self.preview_ticket = Some(self.slow_reader.ask(ReadRequest::GroupPreview(grouping)));
        }
    }

    /// Checks whether crops of imported detections lack embeddings.
    pub fn ask_for_missing_embeddings(&mut self) {
        self.slow_reader.ask(ReadRequest::EmbeddingsMissing);
    }

    /// Requests the undecided candidates on very large images: their crops are prefetched.
    pub fn want_large(&mut self) {
        self.slow_reader.ask(ReadRequest::OnLargeImages);
    }

    /// Requests the best members of a group, unless they were requested just before.
    pub fn want_members(&mut self, group: GroupId) {
        if self.members_asked != Some(group) {
            self.members_asked = Some(group);
            self.slow_reader.ask(ReadRequest::Members { group, limit: MEMBERS_SHOWN });
        }
    }

    /// Marks the reported members as outdated.
    pub fn forget_members(&mut self) {
        self.members_asked = None;
    }

    /// Handles a failed request for the review's counts: they are requested again when something changes.
    pub fn numbers_failed(&mut self, ticket: Ticket) {
        self.numbers_ticket.take_if(|requested| *requested == ticket);
    }

    /// Requests the newest page of the log, or the next older one.
    pub fn want_history(&mut self, history: &HistoryModel, by: &Annotator, from_start: bool) {
        let query = HistoryQuery {
            annotator: by.only().map(str::to_owned),
            text: if history.batch.is_some() { String::new() } else { history.text.clone() },
            gesture: history.batch,
            before: history.oldest().filter(|_| !from_start),
            ..HistoryQuery::default()
        };
        let ticket = self.reader.ask(ReadRequest::History { query: Box::new(query), limit: HISTORY_PAGE });
        self.history_requested = Some(HistoryRequest { ticket, from_start, batch: history.batch });
    }

    /// Whether a reply is the pending page of the log and still wanted: if so, whether it is the newest.
    pub fn history_loaded(&mut self, ticket: Ticket, history: &HistoryModel) -> Option<bool> {
        let requested = self.history_requested.take_if(|requested| requested.ticket == ticket)?;
        (requested.batch == history.batch).then_some(requested.from_start)
    }

    pub fn revisit(&mut self, candidate: CandidateId) {
        self.revisit_ticket = Some(self.reader.ask(ReadRequest::Candidate(candidate)));
    }

    /// Requests the first page of a filter, the candidate to return to, and the total count.
    /// `position`: a row that must be included.
    pub fn start_query(
        &mut self,
        filter: &ReviewFilter,
        by: &Annotator,
        back_to: Option<CandidateId>,
        position: usize,
    ) {
        self.cursor = None;
        self.forget_failed_details();
        let query = Box::new(self.query(filter, by));
        let limit = FIRST_PAGE.saturating_add(position.min(FURTHEST));
        let first = ReadRequest::Page { query: query.clone(), after: None, limit };
        self.page_ticket = Some(self.reader.ask(first));
        self.return_ticket = back_to.map(|candidate| self.reader.ask(ReadRequest::Candidate(candidate)));
        self.count_ticket = Some(self.reader.ask(ReadRequest::Count { query }));
        (self.numbers_ticket, self.numbers_requested, self.numbers_wanted) = (None, None, true);
        (self.inheritable_ticket, self.inheritable_requested, self.inheritable_wanted) = (None, None, true);
        self.members_asked = None;
    }

    /// Requests the next page, unless one is pending. Returns false if there is none to request.
    pub fn next_page(&mut self, filter: &ReviewFilter, by: &Annotator) -> bool {
        if self.page_ticket.is_none() && self.cursor.is_some() {
            let query = Box::new(self.query(filter, by));
            let request = ReadRequest::Page { query, after: self.cursor, limit: PAGE };
            self.page_ticket = Some(self.reader.ask(request));
        }
        self.page_ticket.is_some()
    }

    /// Whether this was the request for the pending page, which can then be requested again.
    pub fn page_failed(&mut self, ticket: Ticket) -> bool {
        self.page_ticket.take_if(|requested| *requested == ticket).is_some()
    }

    /// Whether this was the request for the candidate to return to, which is then cancelled.
    pub fn ends_return(&mut self, ticket: Ticket) -> bool {
        self.return_ticket.take_if(|requested| *requested == ticket).is_some()
    }

    /// Whether it was the first page since the project was opened: reads of the whole database wait for it.
    pub fn page_loaded(&mut self, next: Option<Cursor>) -> bool {
        self.page_ticket = None;
        self.cursor = next;
        !std::mem::replace(&mut self.has_first_page, true)
    }

    /// Requests the overlays of these candidates' images that are not loaded.
    pub fn want_details<'a>(&mut self, rows: impl Iterator<Item = &'a CandidateRow>) {
        for row in rows {
            let key = (row.candidate.image, row.candidate.round);
            if self.details.order.get(&key).is_some() && self.details.images.contains_key(&key) {
                continue;
            }
            if self.details.requested.insert(key) {
                let ticket = self.reader.ask(ReadRequest::Image { image: key.0, round: key.1 });
                self.detail_tickets.insert(ticket, key);
            }
        }
    }

    /// Returns the round of an answered image request.
    pub fn detail_round(&mut self, ticket: Ticket) -> Option<RoundId> {
        self.detail_tickets.remove(&ticket).map(|(_, round)| round)
    }

    /// Handles a failed request for an image's overlay.
    pub fn detail_failed(&mut self, ticket: Ticket) {
        self.detail_tickets.remove(&ticket);
    }

    /// Allows failed reads to be retried.
    fn forget_failed_details(&mut self) {
        let open: HashSet<_> = self.detail_tickets.values().copied().collect();
        self.details.requested.retain(|key| open.contains(key));
    }

    /// Called when rounds or annotations changed: all overlays, including pending ones, are outdated.
    pub fn forget_details(&mut self) {
        self.details.images.clear();
        self.details.requested.clear();
        self.detail_tickets.clear();
    }

    /// Called when an object was promoted or removed on this image: its overlay, even a pending one, is reloaded.
    pub fn image_changed(&mut self, image: ImageId) {
        self.details.forget(image);
        self.detail_tickets.retain(|_, (requested, _)| *requested != image);
    }

    /// Whether the overlay of a candidate's image is still loading.
    pub fn awaits_detail(&self, row: &CandidateRow) -> bool {
        let key = (row.candidate.image, row.candidate.round);
        let is_failed =
            || self.details.requested.contains(&key) && !self.detail_tickets.values().any(|open| *open == key);
        self.details.get(row).is_none() && !is_failed()
    }

    /// Converts the filter to a store query.
    pub fn query(&self, filter: &ReviewFilter, by: &Annotator) -> CandidateQuery {
        let number = |number: u32| self.details.overview.rounds.iter().find(|r| r.number == number).map(|r| r.id);
        let class = |name: &String| self.details.overview.classes.iter().find(|k| k.name == *name).map(|k| k.id);
        let (sort, descending) = match filter.order {
            Order::Score => (Sort::Score, true),
            Order::MaxIou => (Sort::Iou, true),
            Order::Size => (Sort::Size, true),
            Order::Image => (Sort::Image, false),
            Order::Random => (Sort::Random, false),
            Order::ExpectedGain => (Sort::Expected, true),
            Order::Similarity => (Sort::Group, false),
            Order::Round => (Sort::Round, true),
            Order::Disagreement => (Sort::Disagreement, true),
        };
        let no_limit = |to: f64| if to >= SIZE_MAX { f64::INFINITY } else { to };
        CandidateQuery {
            round: filter.round.and_then(number),
            // A class that was renamed meanwhile matches nothing.
            class: filter.class.as_ref().map(|name| class(name).unwrap_or(ClassId(0))),
            kind: filter.kind,
            verdict: match filter.verdicts {
                ShownVerdicts::Undecided => VerdictFilter::Undecided,
                ShownVerdicts::All => VerdictFilter::Any,
                ShownVerdicts::Decided => VerdictFilter::Decided,
                ShownVerdicts::Disputed => VerdictFilter::Disputed,
                ShownVerdicts::RestsOn(basis) => VerdictFilter::RestsOn(basis),
                ShownVerdicts::Only(verdict) => VerdictFilter::Is(verdict),
            },
            score: Interval::new(f64::from(filter.score.0), f64::from(filter.score.1)),
            iou: Interval::new(filter.iou.0, filter.iou.1),
            size: Interval::new(filter.size.0, no_limit(filter.size.1)),
            image_name: filter.name.clone(),
            image: None,
            split: filter.split.clone(),
            group: filter.group,
            trace: filter.trace.map(ShownTrace::filter),
            // In a share the annotator's own verdicts count: what is reviewed twice waits for both.
            annotator: by
                .only()
                .map(str::to_owned)
                .or_else(|| filter.annotator.clone())
                .or_else(|| filter.share.clone()),
            // An annotator without a share (any more) has an empty one.
            share: filter
                .share
                .as_ref()
                .map(|name| self.details.overview.shares.as_ref().map_or(Share::NOTHING, |shares| shares.of(name))),
            collapse: filter.lists_alike_as_one(),
            sort,
            descending,
        }
    }
}
