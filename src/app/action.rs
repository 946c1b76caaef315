//! Every user action with a key, as one enum with text, tooltip and default shortcut.

use egui::{Key, KeyboardShortcut, Modifiers};

/// The scope of an action's keys. Two actions may share keys only in scopes that are never active together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// On every screen.
    Everywhere,
    /// On the review screen.
    Review,
    /// While an object's shape is being adjusted.
    Adjust,
    /// On the Images screen, where the review's verdict keys work too.
    Images,
}

impl Scope {
    /// Whether both can be active at once.
    pub fn meets(self, other: Self) -> bool {
        self == other || self == Self::Everywhere || other == Self::Everywhere
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Review => "Review",
            Self::Adjust => "Adjusting an object",
            Self::Images => "Images",
        }
    }
}

macro_rules! actions {
    ($($name:ident: $scope:ident, $word:literal, $text:literal, $tooltip:literal, $shortcut:expr;)*) => {
        /// A user action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($name,)* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }

            /// Returns the name in `keys.toml`.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub fn tooltip(self) -> &'static str {
                match self { $(Self::$name => $tooltip,)* }
            }

            pub fn default_shortcuts(self) -> Vec<KeyboardShortcut> {
                match self { $(Self::$name => $shortcut.to_vec(),)* }
            }
        }
    };
}

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}

const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

const fn ctrl_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}

actions! {
    ShowProject: Everywhere, "show_project", "Project", "Open a project, import images", [ctrl(Key::Num1)];
    ShowReview: Everywhere, "show_review", "Review", "Decide on the mined candidates", [ctrl(Key::Num2)];
    ShowTrain: Everywhere, "show_train", "Train", "Start a round and watch it", [ctrl(Key::Num3)];
    ShowCurves: Everywhere, "show_curves", "Curves", "Compare the rounds' ROC curves", [ctrl(Key::Num4)];
    ShowImages: Everywhere, "show_images", "Images", "Look through the images and what rounds found on them", [ctrl(Key::Num5)];
    ShowKeys: Everywhere, "show_keys", "All keys", "Show every key", [plain(Key::Questionmark), plain(Key::F1)];
    ShowSettings: Everywhere, "show_settings", "Settings", "Theme, size, keys, device, backups", [ctrl(Key::Comma)];
    Palette: Everywhere, "palette", "Command…", "Run any action by its name", [ctrl(Key::K)];
    GoToNumber: Everywhere, "go_to_number", "Go to number…", "Go to a position in the list by its number", [ctrl(Key::G)];
    OpenProject: Everywhere, "open_project", "Open project…", "Choose a project folder", [ctrl(Key::O)];
    Quit: Everywhere, "quit", "Quit", "Close the window; asks first while a round runs", [ctrl(Key::Q)];

    Confirm: Review, "confirm", "Hard negative", "Confirm: no object. The next round trains on it as background", [plain(Key::A)];
    Reject: Review, "reject", "Reject", "Exclude from training: a drawing, a reflection, a doubtful case", [plain(Key::X)];
    ConfirmGroup: Review, "confirm_group", "Group: hard negative", "Confirm this candidate, or the selection, with the undecided rest of the group, as one action", [shift(Key::A)];
    RejectGroup: Review, "reject_group", "Group: reject", "Reject this candidate, or the selection, with the undecided rest of the group, as one action", [shift(Key::X)];
    DecideRest: Review, "decide_rest", "Same for the rest of the group", "Give the others of the group that was just decided the same verdict", [plain(Key::R)];
    AsBefore: Review, "as_before", "As before", "Carry over an earlier round's verdict on the same region or group", [plain(Key::T)];
    AllAsBefore: Review, "all_as_before", "All as before", "Carry over the earlier rounds' verdicts on all candidates in the filter, in one action", [shift(Key::T)];
    EstimateRest: Review, "estimate_rest", "Confirm the rest as estimated", "After a random sample: confirm all candidates not yet seen, marked as estimated", [shift(Key::R)];
    MissedObject: Review, "missed_face", "Missed object", "A real object that is not annotated: adjust its shape, then Enter; with several classes its class is chosen first", [plain(Key::F)];
    WrongClass: Review, "wrong_class", "Wrong class", "A real object, but of another class than detected: choose its class", [plain(Key::W), shift(Key::W)];
    AdjustObject: Review, "adjust_object", "Adjust object", "Correct the shape of the annotated object under or nearest to the candidate, then Enter", [plain(Key::E)];
    ObjectClass: Review, "object_class", "Object's class", "Correct the class of the annotated object under or nearest to the candidate", [shift(Key::E)];
    IgnoreObject: Review, "ignore_object", "Ignore object", "Ignore the annotated object under or nearest to the candidate in training and evaluation; press again to count it", [plain(Key::I)];
    DeleteObject: Review, "delete_object", "Delete object", "Delete the annotated object under or nearest to the candidate; press again to restore it", [plain(Key::Delete)];
    Skip: Review, "skip", "Skip", "Leave it undecided and go to the next", [plain(Key::Space)];
    Undo: Review, "undo", "Undo", "Undo the last decision, also after a restart", [plain(Key::Backspace), ctrl(Key::Z)];
    Redo: Review, "redo", "Redo", "Redo the decision that was undone", [ctrl_shift(Key::Z), ctrl(Key::Y)];
    ImageComplete: Review, "image_complete", "Image complete", "Mark the image as completely annotated; press again to unmark it", [plain(Key::K)];
    Previous: Review, "previous", "Previous", "The candidate before", [plain(Key::ArrowLeft)];
    Next: Review, "next", "Next", "The candidate after", [plain(Key::ArrowRight)];
    RowUp: Review, "row_up", "Row up", "In the grid and the history: the row above", [plain(Key::ArrowUp)];
    RowDown: Review, "row_down", "Row down", "In the grid and the history: the row below", [plain(Key::ArrowDown)];
    First: Review, "first", "First candidate", "The first candidate of the list", [plain(Key::Home)];
    Last: Review, "last", "Last candidate", "The last candidate of the list", [plain(Key::End)];
    PageBack: Review, "page_back", "Page up", "In the grid and the history a page up; in the queue ten candidates back", [plain(Key::PageUp)];
    PageOn: Review, "page_on", "Page down", "In the grid and the history a page down; in the queue ten candidates on", [plain(Key::PageDown)];
    NextUndecided: Review, "next_undecided", "Next undecided", "The next candidate without a verdict", [plain(Key::Tab)];
    Zoom: Review, "zoom", "Zoom", "Enlarge the crop", [plain(Key::Z)];
    Grid: Review, "grid", "Grid", "Many crops at once: select several, decide as one action", [plain(Key::G)];
    GroundTruth: Review, "ground_truth", "Ground truth", "Show or hide annotated and promoted objects", [plain(Key::B)];
    Detections: Review, "detections", "Detections", "Show or hide the other detections", [plain(Key::D)];
    CandidateBox: Review, "candidate_box", "Box", "Show or hide the candidate's own box", [plain(Key::C)];
    Filter: Review, "filter", "Filter", "Choose which candidates are shown", [plain(Key::Slash)];
    LessFilter: Review, "less_filter", "Remove last condition", "Remove the filter's last condition", [plain(Key::Minus)];
    AlikeAsOne: Review, "alike_as_one", "Collapse groups", "Show each group as one candidate, or every candidate separately", [plain(Key::U)];
    ShowGroup: Review, "show_group", "Show the group", "Show all members of this candidate's group, whatever their verdict", [shift(Key::G)];
    History: Review, "history", "History", "Every decision: search, look again, change", [plain(Key::H)];
    LookAgain: Review, "look_again", "Look again", "In the history: show the candidate of the marked decision; a new verdict changes it", [plain(Key::L)];
    Batch: Review, "stroke", "All in this action", "In the history: every decision of the marked action, and back", [plain(Key::O)];
    Annotators: Review, "people", "Annotators", "Decisions and agreement of the annotators", [plain(Key::P)];
    Disagreements: Review, "disagreements", "Disagreements", "Review the candidates that annotators disagree on", [shift(Key::P)];
    GoOn: Review, "go_on", "Go on", "Continue after a verdict that could not be saved", [plain(Key::Enter)];
    Back: Review, "back", "Back", "Return to the filter, order, layout and candidate from before the group, the history, the annotators or a point of a curve", [KeyboardShortcut::new(Modifiers::ALT, Key::ArrowLeft)];
    Leave: Review, "leave", "Leave", "Close the filter, end the selection, stop waiting, go back", [plain(Key::Escape)];
    SelectAll: Review, "select_all", "Select all", "In the grid: select every candidate shown", [ctrl(Key::A)];
    SelectMore: Review, "select_more", "Select", "In the grid: add or remove this candidate", [plain(Key::S)];
    Reason1: Review, "reason_1", "Reason 1", "Reject with reason 1", [plain(Key::Num1)];
    Reason2: Review, "reason_2", "Reason 2", "Reject with reason 2", [plain(Key::Num2)];
    Reason3: Review, "reason_3", "Reason 3", "Reject with reason 3", [plain(Key::Num3)];
    Reason4: Review, "reason_4", "Reason 4", "Reject with reason 4", [plain(Key::Num4)];
    Reason5: Review, "reason_5", "Reason 5", "Reject with reason 5", [plain(Key::Num5)];
    Reason6: Review, "reason_6", "Reason 6", "Reject with reason 6", [plain(Key::Num6)];
    Reason7: Review, "reason_7", "Reason 7", "Reject with reason 7", [plain(Key::Num7)];
    Reason8: Review, "reason_8", "Reason 8", "Reject with reason 8", [plain(Key::Num8)];
    Reason9: Review, "reason_9", "Reason 9", "Reject with reason 9", [plain(Key::Num9)];

    Commit: Adjust, "commit_face", "Save", "Save the shape as ground truth", [plain(Key::Enter)];
    Cancel: Adjust, "cancel_face", "Cancel", "Discard the change", [plain(Key::Escape)];
    MoveLeft: Adjust, "move_left", "Move left", "Move the shape", [plain(Key::ArrowLeft)];
    MoveRight: Adjust, "move_right", "Move right", "Move the shape", [plain(Key::ArrowRight)];
    MoveUp: Adjust, "move_up", "Move up", "Move the shape", [plain(Key::ArrowUp)];
    MoveDown: Adjust, "move_down", "Move down", "Move the shape", [plain(Key::ArrowDown)];
    Narrower: Adjust, "narrower", "Narrower", "Make the shape narrower", [shift(Key::ArrowLeft)];
    Wider: Adjust, "wider", "Wider", "Make the shape wider", [shift(Key::ArrowRight)];
    Taller: Adjust, "taller", "Taller", "Make the shape taller", [shift(Key::ArrowUp)];
    Shorter: Adjust, "shorter", "Shorter", "Make the shape shorter", [shift(Key::ArrowDown)];
    TurnLeft: Adjust, "turn_left", "Turn left", "Turn the ellipse", [plain(Key::Q)];
    TurnRight: Adjust, "turn_right", "Turn right", "Turn the ellipse", [plain(Key::E)];

    OpenImage: Images, "open_image", "Open", "Open the image that is marked", [plain(Key::Enter)];
    CloseImage: Images, "close_image", "All images", "Back to the list, with the same place and filter", [plain(Key::Escape)];
    PreviousImage: Images, "previous_image", "Previous", "The previous image of the list; in the list a page up", [plain(Key::PageUp)];
    NextImage: Images, "next_image", "Next", "The next image of the list; in the list a page down", [plain(Key::PageDown)];
    FirstImage: Images, "first_image", "First", "The first image of the list", [plain(Key::Home)];
    LastImage: Images, "last_image", "Last", "The last image of the list", [plain(Key::End)];
    ImageLeft: Images, "image_left", "Left", "The previous image; moves the view when zoomed", [plain(Key::ArrowLeft)];
    ImageRight: Images, "image_right", "Right", "The next image; moves the view when zoomed", [plain(Key::ArrowRight)];
    ImageUp: Images, "image_up", "Up", "The row above in the list; moves the view when zoomed", [plain(Key::ArrowUp)];
    ImageDown: Images, "image_down", "Down", "The row below in the list; moves the view when zoomed", [plain(Key::ArrowDown)];
    NextMark: Images, "next_mark", "Next box", "Pick the next detection or missed object", [plain(Key::Tab)];
    PreviousMark: Images, "previous_mark", "Box before", "Pick the previous detection or missed object", [shift(Key::Tab)];
    DrawObject: Images, "draw_object", "Draw object", "Add an object that is neither annotated nor detected: drag over it", [plain(Key::N)];
    ZoomIn: Images, "zoom_in", "Zoom in", "Zoom in; the wheel zooms to the pointer", [plain(Key::Plus), plain(Key::Equals)];
    ZoomOut: Images, "zoom_out", "Zoom out", "Zoom out", [plain(Key::Minus)];
    ZoomFit: Images, "zoom_fit", "Fit", "The whole image; a double click does the same", [plain(Key::Num0)];
    ZoomFull: Images, "zoom_full", "1:1", "Actual size: one image pixel per screen pixel", [plain(Key::Num1)];
}

impl Action {
    /// Newer actions: they have no key if an older `keys.toml` assigns their default key to another action.
    pub const NEWER: [Self; 20] = [
        Self::Quit,
        Self::Back,
        Self::ShowSettings,
        Self::Palette,
        Self::GoToNumber,
        Self::First,
        Self::Last,
        Self::PageBack,
        Self::PageOn,
        Self::WrongClass,
        Self::AdjustObject,
        Self::ObjectClass,
        Self::IgnoreObject,
        Self::DeleteObject,
        Self::ImageComplete,
        Self::ShowImages,
        Self::AsBefore,
        Self::AllAsBefore,
        Self::EstimateRest,
        Self::DrawObject,
    ];

    /// The actions for reasons, starting with 1.
    pub const REASONS: [Self; 9] = [
        Self::Reason1,
        Self::Reason2,
        Self::Reason3,
        Self::Reason4,
        Self::Reason5,
        Self::Reason6,
        Self::Reason7,
        Self::Reason8,
        Self::Reason9,
    ];

    /// Whether an action of the review has the same meaning on the Images screen.
    pub fn is_meant_in_images(self) -> bool {
        matches!(
            self,
            Self::Filter
                | Self::GroundTruth
                | Self::Detections
                | Self::Back
                | Self::Confirm
                | Self::Reject
                | Self::MissedObject
                | Self::WrongClass
                | Self::ObjectClass
                | Self::AdjustObject
                | Self::IgnoreObject
                | Self::DeleteObject
                | Self::Undo
                | Self::Redo
                | Self::NextUndecided
        )
    }

    /// Whether the keys of both are read in one place, so that they must differ.
    pub fn meets(self, other: Self) -> bool {
        // On the Images screen the keys of its own actions come first. Tab goes to the next box there, not to the next undecided candidate.
        let hides = |image: Self, review: Self| {
            image.scope() == Scope::Images && review.is_meant_in_images() && review != Self::NextUndecided
        };
        self.scope().meets(other.scope()) || hides(self, other) || hides(other, self)
    }

    /// Whether it moves or marks the current candidate. Where none is shown, it would change one that nobody sees.
    pub fn is_about_candidate(self) -> bool {
        matches!(
            self,
            Self::Previous
                | Self::Next
                | Self::RowUp
                | Self::RowDown
                | Self::PageBack
                | Self::PageOn
                | Self::First
                | Self::Last
                | Self::NextUndecided
                | Self::ImageComplete
                | Self::MissedObject
                | Self::WrongClass
                | Self::SelectMore
                | Self::ShowGroup
        )
    }

    /// Returns the reason (1..=9) of this action, if it is one of those.
    pub fn reason(self) -> Option<u8> {
        Self::REASONS.iter().position(|a| *a == self).map(|i| i as u8 + 1)
    }
}
