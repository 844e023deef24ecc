//! The one table of keys. Dispatch, footer, help page and README are read
//! from it; nothing else names a key.

use crate::tui::state::Page;

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    NextPage,
    PreviousPage,
    Open(Page),
    Details,
    Fit,
    ContextLess,
    ContextMore,
    KvType,
    Unload,
    UnloadAll,
    Recycle,
    Undo,
    Load,
    Keep,
    Cleanup,
    EndRunner,
    Pin,
    Raise,
    Lower,
    Filter,
    Sort,
    EventKind,
    Why,
    Answer,
    RuleMode,
    Retry,
    Palette,
    Help,
    Theme,
    Back,
    Quit,
    Interrupt,
    Suspend,
    Confirm,
    Force,
    Refuse,
    Cancel,
    Less,
    More,
    ScrollUp,
    ScrollDown,
    ScrollPageUp,
    ScrollPageDown,
    TextAccept,
    TextAbandon,
    TextErase,
    TextClear,
    TextPrevious,
    TextNext,
}

/// Where a key means what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Also in dialogs and while typing.
    Always,
    /// On these pages, with nothing open over them.
    On(&'static [Page]),
    /// While a dialog is open.
    Dialog,
    /// While a filter or the palette is typed.
    Typing,
}

/// A row of the table.
#[derive(Debug)]
pub struct Entry {
    pub intent: Intent,
    /// As config files and the palette call it.
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub scope: Scope,
    /// Its word in the footer.
    pub label: &'static str,
    /// Order in the footer, lowest first; 0 keeps it out.
    pub rank: u8,
    pub section: &'static str,
    pub help: &'static str,
}

/// The headings of the help page, in their order.
pub const SECTIONS: [&str; 6] = ["memory", "moving", "pages", "looking", "dialogs", "program"];

const ALL: Scope = Scope::On(&Page::ALL);
const LISTS: Scope = Scope::On(&[Page::Overview, Page::Models, Page::Components]);
const MODELS: Scope = Scope::On(&[Page::Overview, Page::Models]);
const INSTALLED: Scope = Scope::On(&[Page::Models]);
const ROWS: Scope = Scope::On(&[Page::Overview, Page::Models, Page::Components, Page::Events]);
const EVENTS: Scope = Scope::On(&[Page::Events]);
const POLICY: Scope = Scope::On(&[Page::Policy]);
/// Pages with rows that have details.
const DETAILED: Scope =
    Scope::On(&[Page::Overview, Page::Models, Page::Components, Page::Events, Page::Policy]);

/// Where a key holds, its word in the footer, and its rank there.
struct Shown(Scope, &'static str, u8);

const fn entry(
    intent: (Intent, &'static str),
    keys: &'static [&'static str],
    shown: Shown,
    help: (&'static str, &'static str),
) -> Entry {
    let Shown(scope, label, rank) = shown;
    let ((intent, name), (section, help)) = (intent, help);
    Entry { intent, name, keys, scope, label, rank, section, help }
}

pub const TABLE: &[Entry] = &[
    entry(
        (Intent::Unload, "unload"),
        &["u"],
        Shown(LISTS, "unload", 10),
        ("memory", "unload the selected model; a busy, pinned or remote one asks first"),
    ),
    entry(
        (Intent::UnloadAll, "unload-all"),
        &["U"],
        Shown(ALL, "unload all", 30),
        ("memory", "show the plan that unloads every model of this machine"),
    ),
    entry(
        (Intent::Cleanup, "cleanup"),
        &["c"],
        Shown(ALL, "cleanup", 20),
        ("memory", "free memory: choose light, aggressive or force and see the plan first"),
    ),
    entry(
        (Intent::Undo, "undo"),
        &["z"],
        Shown(ALL, "undo", 9),
        ("memory", "bring back what the last cleanup took away, if it fits: the plan first"),
    ),
    entry(
        (Intent::Recycle, "recycle"),
        &["r"],
        Shown(LISTS, "recycle", 45),
        ("memory", "unload the selected model and load it again, to drop its caches"),
    ),
    entry(
        (Intent::Load, "load"),
        &["L"],
        Shown(MODELS, "load", 25),
        ("memory", "load the selected model: whether it fits first, and how long it stays"),
    ),
    entry(
        (Intent::Fit, "fit"),
        &["f"],
        Shown(MODELS, "fits?", 42),
        ("memory", "whether the selected model fits, with the whole sum"),
    ),
    entry(
        (Intent::ContextLess, "context-less"),
        &["<", ","],
        Shown(INSTALLED, "context", 0),
        ("memory", "judge the selected model at a shorter context, and load it so"),
    ),
    entry(
        (Intent::ContextMore, "context-more"),
        &[">", "."],
        Shown(INSTALLED, "context", 22),
        ("memory", "judge it at a longer one; below the shortest: as its server would load it"),
    ),
    entry(
        (Intent::KvType, "kv-type"),
        &["v"],
        Shown(INSTALLED, "kv type", 48),
        ("memory", "judge it with another type of the cache, which the server must be set to"),
    ),
    entry(
        (Intent::Keep, "keep"),
        &["t"],
        Shown(LISTS, "keep", 35),
        ("memory", "keep the selected model longer or shorter, without reloading it"),
    ),
    entry(
        (Intent::Pin, "pin"),
        &["p"],
        Shown(LISTS, "pin", 50),
        ("memory", "pin or unpin: a pinned model is in no plan; survives a restart"),
    ),
    entry(
        (Intent::Raise, "raise"),
        &["+", "="],
        Shown(LISTS, "priority", 0),
        ("memory", "raise the priority of the selected row"),
    ),
    entry(
        (Intent::Lower, "lower"),
        &["-"],
        Shown(LISTS, "priority", 0),
        ("memory", "lower the priority of the selected row"),
    ),
    entry(
        (Intent::EndRunner, "end-runner"),
        &["x"],
        Shown(LISTS, "end runner", 5),
        ("memory", "end the runner of a stuck model, or an orphan; never a server"),
    ),
    entry(
        (Intent::Answer, "answer"),
        &["a"],
        Shown(ALL, "look at it", 3),
        ("memory", "see what a rule asks; then yes, no, or leave it waiting"),
    ),
    entry(
        (Intent::RuleMode, "rule-mode"),
        &["m"],
        Shown(POLICY, "mode", 15),
        ("memory", "another mode for the selected rule: the change to the config first"),
    ),
    entry((Intent::Up, "up"), &["up", "k"], Shown(ALL, "up", 0), ("moving", "one row up")),
    entry(
        (Intent::Down, "down"),
        &["down", "j"],
        Shown(ALL, "down", 0),
        ("moving", "one row down"),
    ),
    entry(
        (Intent::PageUp, "page-up"),
        &["page-up"],
        Shown(ALL, "page up", 0),
        ("moving", "one screen up"),
    ),
    entry(
        (Intent::PageDown, "page-down"),
        &["page-down"],
        Shown(ALL, "page down", 0),
        ("moving", "one screen down"),
    ),
    entry(
        (Intent::First, "first"),
        &["home", "g"],
        Shown(ALL, "first", 0),
        ("moving", "to the first row"),
    ),
    entry(
        (Intent::Last, "last"),
        &["end", "G"],
        Shown(ALL, "last", 0),
        ("moving", "to the last row"),
    ),
    entry(
        (Intent::Details, "details"),
        &["enter"],
        Shown(DETAILED, "details", 55),
        ("moving", "details of the selected row"),
    ),
    entry(
        (Intent::Back, "back"),
        &["esc"],
        Shown(ALL, "back", 0),
        ("moving", "leave one thing at a time: filter, page"),
    ),
    entry(
        (Intent::NextPage, "next-page"),
        &["tab", "right", "l"],
        Shown(ALL, "pages", 60),
        ("pages", "next page"),
    ),
    entry(
        (Intent::PreviousPage, "previous-page"),
        &["shift-tab", "left", "h"],
        Shown(ALL, "previous", 0),
        ("pages", "previous page"),
    ),
    entry(
        (Intent::Open(Page::Overview), "overview"),
        &["1"],
        Shown(ALL, "overview", 0),
        ("pages", "overview"),
    ),
    entry(
        (Intent::Open(Page::Models), "models"),
        &["2"],
        Shown(ALL, "models", 0),
        ("pages", "models, loaded and installed"),
    ),
    entry(
        (Intent::Open(Page::Components), "components"),
        &["3"],
        Shown(ALL, "components", 0),
        ("pages", "components: servers, runners, the largest processes"),
    ),
    entry(
        (Intent::Open(Page::Events), "events"),
        &["4"],
        Shown(ALL, "events", 0),
        ("pages", "events, the whole history"),
    ),
    entry(
        (Intent::Open(Page::Policy), "policy"),
        &["5"],
        Shown(ALL, "policy", 0),
        ("pages", "policy: the rules, and what they would do now"),
    ),
    entry(
        (Intent::Open(Page::Help), "help-page"),
        &["6"],
        Shown(ALL, "help", 0),
        ("pages", "help"),
    ),
    entry(
        (Intent::Filter, "filter"),
        &["/"],
        Shown(ROWS, "filter", 70),
        ("looking", "filter the rows as you type"),
    ),
    entry(
        (Intent::Sort, "sort"),
        &["s"],
        Shown(ROWS, "sort", 75),
        ("looking", "next order of the rows"),
    ),
    entry(
        (Intent::EventKind, "event-kind"),
        &["e"],
        Shown(EVENTS, "one kind", 15),
        ("looking", "show one kind of event after the other"),
    ),
    entry(
        (Intent::Why, "why"),
        &["w"],
        Shown(ALL, "why", 40),
        ("looking", "what set the level, what has grown, what would help"),
    ),
    entry((Intent::Theme, "theme"), &["T"], Shown(ALL, "theme", 0), ("looking", "next theme")),
    entry(
        (Intent::Retry, "retry"),
        &["R", "f5"],
        Shown(ALL, "ask again", 0),
        ("looking", "ask the model server now"),
    ),
    entry(
        (Intent::Confirm, "confirm"),
        &["enter", "y"],
        Shown(Scope::Dialog, "yes", 1),
        ("dialogs", "carry it out"),
    ),
    entry(
        (Intent::Force, "force"),
        &["F"],
        Shown(Scope::Dialog, "force", 6),
        ("dialogs", "load what does not fit: asks once more"),
    ),
    entry(
        (Intent::Refuse, "refuse"),
        &["n"],
        Shown(Scope::Dialog, "refuse", 2),
        ("dialogs", "no: a rule that asks is told so, anything else is closed"),
    ),
    entry(
        (Intent::Cancel, "cancel"),
        &["esc", "q"],
        Shown(Scope::Dialog, "no", 2),
        ("dialogs", "close, nothing is done"),
    ),
    entry(
        (Intent::Less, "less"),
        &["left", "h", "<"],
        Shown(Scope::Dialog, "less", 3),
        ("dialogs", "milder, shorter"),
    ),
    entry(
        (Intent::More, "more"),
        &["right", "l", ">", "tab"],
        Shown(Scope::Dialog, "more", 4),
        ("dialogs", "stronger, longer"),
    ),
    entry(
        (Intent::ScrollUp, "scroll-up"),
        &["up", "k"],
        Shown(Scope::Dialog, "scroll", 0),
        ("dialogs", "one line up; on a dial longer"),
    ),
    entry(
        (Intent::ScrollDown, "scroll-down"),
        &["down", "j"],
        Shown(Scope::Dialog, "scroll", 5),
        ("dialogs", "one line down; on a dial shorter"),
    ),
    entry(
        (Intent::ScrollPageUp, "scroll-page-up"),
        &["page-up", "home"],
        Shown(Scope::Dialog, "scroll", 0),
        ("dialogs", "ten lines up"),
    ),
    entry(
        (Intent::ScrollPageDown, "scroll-page-down"),
        &["page-down", "end", "space"],
        Shown(Scope::Dialog, "scroll", 0),
        ("dialogs", "ten lines down"),
    ),
    entry(
        (Intent::TextAccept, "text-accept"),
        &["enter"],
        Shown(Scope::Typing, "done", 1),
        ("dialogs", "while typing: done, or run what is chosen"),
    ),
    entry(
        (Intent::TextAbandon, "text-abandon"),
        &["esc"],
        Shown(Scope::Typing, "cancel", 2),
        ("dialogs", "while typing: leave and forget"),
    ),
    entry(
        (Intent::TextErase, "text-erase"),
        &["backspace", "ctrl-h"],
        Shown(Scope::Typing, "erase", 0),
        ("dialogs", "while typing: erase one character"),
    ),
    entry(
        (Intent::TextClear, "text-clear"),
        &["ctrl-u"],
        Shown(Scope::Typing, "clear", 0),
        ("dialogs", "while typing: erase all"),
    ),
    entry(
        (Intent::TextPrevious, "text-previous"),
        &["up", "ctrl-p"],
        Shown(Scope::Typing, "up", 0),
        ("dialogs", "while typing: previous choice"),
    ),
    entry(
        (Intent::TextNext, "text-next"),
        &["down", "ctrl-n", "tab"],
        Shown(Scope::Typing, "down", 0),
        ("dialogs", "while typing: next choice"),
    ),
    entry(
        (Intent::Palette, "palette"),
        &[":"],
        Shown(ALL, "palette", 80),
        ("program", "find anything here by its name"),
    ),
    entry(
        (Intent::Help, "help"),
        &["?"],
        Shown(ALL, "help", 65),
        ("program", "this help, and back"),
    ),
    entry(
        (Intent::Quit, "quit"),
        &["q"],
        Shown(ALL, "quit", 66),
        ("program", "quit; asks while a load would be cut off"),
    ),
    entry(
        (Intent::Interrupt, "interrupt"),
        &["ctrl-c"],
        Shown(Scope::Always, "quit", 0),
        ("program", "quit from anywhere; a second time without asking"),
    ),
    entry(
        (Intent::Suspend, "suspend"),
        &["ctrl-z"],
        Shown(Scope::Always, "suspend", 0),
        ("program", "put plimsoll in the background"),
    ),
];
