//! The open project: the threads that read and write it, and what was read.

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

/// Candidates of the first page, which the screen waits for, and of each that follows.
const FIRST_PAGE: usize = 100;
const PAGE: usize = 500;
/// A request for a candidate beyond it is answered without its position.
const FURTHEST: usize = 20_000;
/// Threads that decode images.
const DECODERS: usize = 2;
/// The numbers of the review are counted at most this often while verdicts come in.
const NUMBERS_PAUSE: Duration = Duration::from_millis(400);
/// What can be taken over from earlier rounds is counted at most this often while verdicts come in.
const INHERITABLE_PAUSE: Duration = Duration::from_secs(3);
/// Members of a group that are shown beside a candidate at most.
pub const MEMBERS_SHOWN: usize = 24;

/// The open project.
pub struct Session {
    pub project: Project,
    pub reader: ProjectReader,
    /// Reads what may take long, beside what the screen waits for.
    slow_reader: ProjectReader,
    inheritable_ticket: Option<Ticket>,
    inheritable_wanted: bool,
    inheritable_asked: Option<Instant>,
    preview_ticket: Option<Ticket>,
    members_asked: Option<GroupId>,
    /// Reports commits of other programs.
    pub watch: ProjectWatch,
    /// This window's decisions that the watch has not reported yet.
    own_gestures: HashSet<i64>,
    pub pictures: DecodePool,
    /// Started when the Images screen is first shown.
    pub images: Option<ImageThreads>,
    backups: BackupKeeper,
    pub details: Details,
    /// What each open read request is for; answers to others are out of date.
    pub page_ticket: Option<Ticket>,
    pub count_ticket: Option<Ticket>,
    detail_tickets: HashMap<Ticket, (ImageId, RoundId)>,
    background: HashMap<Ticket, Background>,
    cursor: Option<Cursor>,
    has_first_page: bool,
    /// The database can only be read.
    pub damage: Option<Damage>,
    pub numbers_ticket: Option<Ticket>,
    /// What was counted last may be out of date.
    pub numbers_wanted: bool,
    numbers_asked: Option<Instant>,
    /// The first thing that is read; all the rest is asked for when it is answered.
    set_up_ticket: Option<Ticket>,
    /// The log's page that is pending.
    pub history_asked: Option<HistoryAsked>,
    pub revisit_ticket: Option<Ticket>,
    /// The candidate that the review goes back to.
    return_ticket: Option<Ticket>,
    /// Dropped last: it checkpoints the database, which requires that no other connection is open.
    pub writer: VerdictWriter,
}

/// A page of the log that was asked for.
pub struct HistoryAsked {
    ticket: Ticket,
    /// It is the newest.
    from_start: bool,
    batch: Option<i64>,
}

/// What the writer does beside verdicts.
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
    /// Starts the threads; the project is looked at on them.
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
            inheritable_asked: None,
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
            numbers_asked: None,
            set_up_ticket: None,
            history_asked: None,
            revisit_ticket: None,
            return_ticket: None,
        };
        session.ask_health();
        session.set_up_ticket = Some(session.reader.ask(ReadRequest::ReviewSetUp));
        Ok(session)
    }

    /// Whether this answer is the one that the opening waits for. Whatever it says, the rest is to be asked for: the first page of the
    /// queue, which the user waits for, before what counts the whole project.
    pub fn is_set_up(&mut self, ticket: Ticket) -> bool {
        self.set_up_ticket.take_if(|asked| *asked == ticket).is_some()
    }

    /// Reads again what the rounds changed.
    pub fn refresh(&mut self) {
        self.reader.ask(ReadRequest::Overview);
        self.reader.ask(ReadRequest::Curves);
    }

    /// Has the notes of a round written.
    pub fn write_notes(&mut self, round: RoundId, notes: String) {
        self.write_in_background(Background::Notes, WriteRequest::Notes { round, notes });
    }

    /// Sets or removes an annotator's mark that nothing is missed in an image.
    pub fn mark_image(&mut self, image: ImageId, by: Annotator) {
        self.write_in_background(Background::ImageMark, WriteRequest::MarkImage { image, by });
    }

    /// Keeps the review's filter with the project.
    pub fn write_filter(&mut self, filter: &ReviewFilter) {
        if self.damage.is_none() {
            let request = WriteRequest::Setting { name: REVIEW_FILTER, value: filter.to_json() };
            self.write_in_background(Background::Setting, request);
        }
    }

    /// The random order was chosen: it samples what waits now.
    pub fn begin_sample(&mut self) {
        if self.damage.is_none() {
            self.write_in_background(Background::Setting, WriteRequest::BeginSample);
        }
    }

    /// Has a backup made if one is due and none is pending.
    pub fn keep_backups(&mut self) {
        if self.damage.is_none() && self.backups.open_requests() == 0 {
            self.backups.ask(());
        }
    }

    /// What the backups' thread answered: damage that it found, or why the last backup failed.
    pub fn poll_backups(&mut self) -> Option<Result<Option<Damage>, String>> {
        self.backups.poll().map(|answer| answer.result)
    }

    /// The database turned out damaged while it was open: nothing more is written.
    pub fn found_damage(&mut self, damage: Damage) {
        if self.damage.is_none() {
            self.damage = Some(damage.clone());
            self.write_in_background(Background::Health, WriteRequest::Close(damage));
        }
    }

    /// A gesture of this window is in the logs.
    pub fn gave(&mut self, gesture: i64) {
        self.own_gestures.insert(gesture);
    }

    /// What of the news was not decided in this window, and whether some was.
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

    /// Asks whether the database can still be written.
    pub fn ask_health(&mut self) {
        self.write_in_background(Background::Health, WriteRequest::Health);
    }

    pub fn write_in_background(&mut self, what: Background, request: WriteRequest) {
        let ticket = self.writer.ask(request);
        self.background.insert(ticket, what);
    }

    /// What an answer of the writer is about, if not a verdict.
    pub fn background_write(&mut self, ticket: Ticket) -> Option<Background> {
        self.background.remove(&ticket)
    }

    /// Requests the review's progress, unless that is pending or was just answered. `false`: ask again soon.
    pub fn want_numbers(&mut self, filter: &ReviewFilter, by: &Annotator) -> bool {
        if !self.numbers_wanted || self.numbers_ticket.is_some() {
            return true;
        }
        if self.numbers_asked.is_some_and(|asked| asked.elapsed() < NUMBERS_PAUSE) {
            return false;
        }
        let (query, annotator) = (Box::new(self.query(filter, by)), by.only().map(str::to_owned));
        self.numbers_ticket = Some(self.reader.ask(ReadRequest::Numbers { query, annotator }));
        self.numbers_asked = Some(Instant::now());
        self.numbers_wanted = false;
        true
    }

    pub fn inheritable_ticket(&self) -> Option<Ticket> {
        self.inheritable_ticket
    }

    /// What the slow reader answers.
    pub fn poll_slow(&mut self) -> Option<Answer<ReadReply>> {
        let answer = self.slow_reader.poll()?;
        self.inheritable_ticket.take_if(|asked| *asked == answer.ticket);
        self.preview_ticket.take_if(|asked| *asked == answer.ticket);
        Some(answer)
    }

    /// Requests what can be taken over from earlier rounds, unless that is pending or was just answered.
    pub fn want_inheritable(&mut self, filter: &ReviewFilter, by: &Annotator) {
        let is_just_now = self.inheritable_asked.is_some_and(|asked| asked.elapsed() < INHERITABLE_PAUSE);
        let has_rounds = self.details.overview.rounds.len() > 1 && !by.blind;
        if !self.inheritable_wanted || self.inheritable_ticket.is_some() || is_just_now || !has_rounds {
            return;
        }
        let query = Box::new(self.query(filter, by));
        self.inheritable_ticket = Some(self.slow_reader.ask(ReadRequest::Inheritable { query }));
        self.inheritable_asked = Some(Instant::now());
        self.inheritable_wanted = false;
    }

    /// Verdicts changed, or the filter: what can be taken over may be other than what was reported.
    pub fn inheritable_changed(&mut self) {
        self.inheritable_wanted = true;
    }

    /// Asks how many decisions other settings of the groups would leave, one after the other.
    pub fn want_preview(&mut self, grouping: GroupConfig) {
        if self.preview_ticket.is_none() {
            self.preview_ticket = Some(self.slow_reader.ask(ReadRequest::GroupPreview(grouping)));
        }
    }

    /// Asks whether crops of imported detections wait for their embeddings.
    pub fn ask_for_missing_embeddings(&mut self) {
        self.slow_reader.ask(ReadRequest::EmbeddingsMissing);
    }

    /// Asks which candidates are left on very large images: their crops are prepared in advance.
    pub fn want_large(&mut self) {
        self.slow_reader.ask(ReadRequest::OnLargeImages);
    }

    /// Asks for the best members of a group, unless they were asked for just before.
    pub fn want_members(&mut self, group: GroupId) {
        if self.members_asked != Some(group) {
            self.members_asked = Some(group);
            self.slow_reader.ask(ReadRequest::Members { group, limit: MEMBERS_SHOWN });
        }
    }

    /// The members that were reported may be out of date.
    pub fn forget_members(&mut self) {
        self.members_asked = None;
    }

    /// How the review stands could not be read, if that is what was asked for: it is asked for when something changes again.
    pub fn numbers_failed(&mut self, ticket: Ticket) {
        self.numbers_ticket.take_if(|asked| *asked == ticket);
    }

    /// Asks for the newest page of the log, or for the next older one.
    pub fn want_history(&mut self, history: &HistoryModel, by: &Annotator, from_start: bool) {
        let query = HistoryQuery {
            annotator: by.only().map(str::to_owned),
            text: if history.batch.is_some() { String::new() } else { history.text.clone() },
            gesture: history.batch,
            before: history.oldest().filter(|_| !from_start),
            ..HistoryQuery::default()
        };
        let ticket = self.reader.ask(ReadRequest::History { query: Box::new(query), limit: HISTORY_PAGE });
        self.history_asked = Some(HistoryAsked { ticket, from_start, batch: history.batch });
    }

    /// Whether an answer is the log's page that is waited for and still listed: then, whether it is the newest.
    pub fn history_came(&mut self, ticket: Ticket, history: &HistoryModel) -> Option<bool> {
        let asked = self.history_asked.take_if(|asked| asked.ticket == ticket)?;
        (asked.batch == history.batch).then_some(asked.from_start)
    }

    pub fn revisit(&mut self, candidate: CandidateId) {
        self.revisit_ticket = Some(self.reader.ask(ReadRequest::Candidate(candidate)));
    }

    /// Asks for the first page of a filter, for the candidate to go back to, and for the count of all.
    /// `position`: a row that is to be among the first.
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
        (self.numbers_ticket, self.numbers_asked, self.numbers_wanted) = (None, None, true);
        (self.inheritable_ticket, self.inheritable_asked, self.inheritable_wanted) = (None, None, true);
        self.members_asked = None;
    }

    /// Asks for the page after the last one, unless one is pending. `false`: there is none to ask for.
    pub fn next_page(&mut self, filter: &ReviewFilter, by: &Annotator) -> bool {
        if self.page_ticket.is_none() && self.cursor.is_some() {
            let query = Box::new(self.query(filter, by));
            let request = ReadRequest::Page { query, after: self.cursor, limit: PAGE };
            self.page_ticket = Some(self.reader.ask(request));
        }
        self.page_ticket.is_some()
    }

    /// Whether this was the request for the page that is waited for. It can be asked for again.
    pub fn page_failed(&mut self, ticket: Ticket) -> bool {
        self.page_ticket.take_if(|asked| *asked == ticket).is_some()
    }

    /// Whether this was the request for the candidate that the review goes back to; it is over then.
    pub fn ends_return(&mut self, ticket: Ticket) -> bool {
        self.return_ticket.take_if(|asked| *asked == ticket).is_some()
    }

    /// Whether it was the first page since the project was opened: what reads the whole database waits for it.
    pub fn page_came(&mut self, next: Option<Cursor>) -> bool {
        self.page_ticket = None;
        self.cursor = next;
        !std::mem::replace(&mut self.has_first_page, true)
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
                self.detail_tickets.insert(ticket, key);
            }
        }
    }

    /// The round that an answered image request was for.
    pub fn detail_round(&mut self, ticket: Ticket) -> Option<RoundId> {
        self.detail_tickets.remove(&ticket).map(|(_, round)| round)
    }

    /// What is drawn over an image could not be read, if that is what was asked for.
    pub fn detail_failed(&mut self, ticket: Ticket) {
        self.detail_tickets.remove(&ticket);
    }

    /// Allows failed reads to be retried.
    fn forget_failed_details(&mut self) {
        let open: HashSet<_> = self.detail_tickets.values().copied().collect();
        self.details.asked.retain(|key| open.contains(key));
    }

    /// Rounds or annotations changed: all overlays, pending ones too, are out of date.
    pub fn forget_details(&mut self) {
        self.details.images.clear();
        self.details.asked.clear();
        self.detail_tickets.clear();
    }

    /// An object was promoted or removed on this image: what is drawn over it has to be read again, also what is pending.
    pub fn image_changed(&mut self, image: ImageId) {
        self.details.forget(image);
        self.detail_tickets.retain(|_, (asked, _)| *asked != image);
    }

    /// Whether what is drawn over a candidate's image is still to come.
    pub fn awaits_detail(&self, row: &CandidateRow) -> bool {
        let key = (row.candidate.image, row.candidate.round);
        let is_failed = || self.details.asked.contains(&key) && !self.detail_tickets.values().any(|open| *open == key);
        self.details.get(row).is_none() && !is_failed()
    }

    /// The filter in the store's words.
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
            // One that is called otherwise by now is found nowhere.
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
            // In a share the annotator's own verdicts count: what is judged twice waits for both.
            annotator: by
                .only()
                .map(str::to_owned)
                .or_else(|| filter.annotator.clone())
                .or_else(|| filter.share.clone()),
            // Somebody whom the division does not name (any more) has nothing.
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
