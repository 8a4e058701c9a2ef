//! What scripts may cost, and the bounds of what they may ask for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EVENT_BYTES_MAX;

/// What scripts may cost. The defaults suit a game of a few players at 10 to 30 Hz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scripts {
    /// Instructions that one callback may run, twice as many for the callbacks of one tick together, four times as many
    /// for a file's body and for `init`, each. Over: the callback is stopped.
    #[schemars(range(min = 10_000, max = 1_000_000_000))]
    pub instructions: u64,
    /// Milliseconds of processor time by which a match that plays may make its neighbours late: one callback, a reload, or
    /// the callbacks of one tick together. A script is stopped at half of them, so that the step it is at may end. Over:
    /// as above.
    #[schemars(range(min = 2, max = 1_000))]
    pub cpu_ms: u32,
    /// Milliseconds of processor time that making a match may take, and its neighbours wait for: bodies, modules, `init`
    /// and bots together. Over: there is no match.
    #[schemars(range(min = 2, max = 10_000))]
    pub load_cpu_ms: u32,
    /// KiB that one match may hold, and a quarter of them that one callback may add. Over: "not enough memory", and the
    /// callback is stopped. The more a match holds, the longer may a single step of it take: about a millisecond for each
    /// MiB, and much more for one made to.
    #[schemars(range(min = 256, max = 16_384))]
    pub memory_kib: u32,
    /// Callbacks of one name stopped in a row, or ticks that ran out in a row, after which the match ends.
    #[schemars(range(min = 1, max = 1_000))]
    pub strikes: u32,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { instructions: 500_000, cpu_ms: 25, load_cpu_ms: 25, memory_kib: 2_048, strikes: 5 }
    }
}

/// Bytes by which a machine may grow between two looks at its meter, at most: no single string or table of a surprise can
/// be larger, so no single instruction can take long.
pub const SCRIPT_STEP_BYTES_MAX: usize = 512 * 1024;

/// Steps along chains of numbers that collide, which a table of a script may take to grow: some three milliseconds that
/// nothing interrupts, and more than places packed into numbers come to. Over: it does not grow, and the match ends.
pub const SCRIPT_CHAIN_STEPS_MAX: u64 = 1 << 20;

/// Numbers that may share one place of a table as its keys: every look at one of them, or at one that is not there, may
/// pass them all, which are some three microseconds. Eight times what a square of the largest table's size comes to, row by
/// row. Over: the match ends.
pub const SCRIPT_CHAIN_MAX: u16 = 1_024;

/// How many times what a match may make its neighbours late (`scripts.cpu_ms`) one entry into its script may take. A step
/// that nothing interrupts can come to that only by intent. Over: the match ends at once, whatever its strikes.
pub const SCRIPT_GROSS_TIMES: u64 = 2;

/// Effects that the callbacks of one tick may ask for, and the bytes they may hold together: carrying them out is work
/// on the same thread, and an outbox holds no more. Over: the call answers `{error=...}`.
pub const EFFECTS_MAX: usize = 512;

/// Bytes of those effects together. Over: as above.
pub const EFFECT_BYTES_MAX: usize = 256 * 1024;

/// What ends or closes something has room beyond that, as a match that said too much must still be able to end.
pub const VITAL_MAX: usize = 64;

/// Bytes of those: a result, and reasons.
pub const VITAL_BYTES_MAX: usize = 2 * EVENT_BYTES_MAX;

/// Refusals that wait to be told to the author. Over: they are left out, as those of later ticks are not.
pub const COMPLAINTS_MAX: usize = 16;

/// Keys of storage one match keeps in sight. Over: the call answers `{error=...}`.
pub const STORED_KEYS_MAX: usize = 256;

/// Stored values of one player, or of the game itself, that a match has in sight before anybody is let in. Over: none of
/// them; each is loaded when it is asked for, and the call answers `{error="loading"}` until then.
pub const STORED_AHEAD_MAX: usize = 64;

/// Stored values that a match has in sight and its script never asked for. Over: as above.
pub const STORED_UNASKED_MAX: usize = 1_024;

/// Players whose stored values a match waits for. Over: of others each is loaded when it is asked for.
pub const STORED_OWNERS_MAX: usize = 1_024;

/// Log lines per second of match time. Over: `game.log` returns false.
pub const LOGS_PER_S: u32 = 30;

/// Processor microseconds of one judgement, and of all of them in a tenth of a second: people write that often at most,
/// and the match's neighbours wait for it.
pub const JUDGE_CPU_US: u64 = 4_000;

/// Instructions of one judgement: a few hundred words looked for in a message of 2,000 bytes.
pub const JUDGE_INSTRUCTIONS: u64 = 100_000;

/// Bytes of a channel's id that a script speaks in: more than the longest there can be. Over: the call answers
/// `{error=...}`.
pub const CHANNEL_ID_BYTES_MAX: usize = 128;

/// Players that a script gives a room in one call. Over: the call answers `{error=...}`; operators may name more.
pub const SCRIPT_ROOM_MEMBERS_MAX: usize = 1_000;

/// Characters of a log line. Over: cut.
pub const LOG_CHARS_MAX: usize = 500;

/// Bytes of a log line's meta. Over: left out.
pub const META_BYTES_MAX: usize = 2_048;

/// Bytes of a stored value. Over: the call answers `{error=...}`.
pub const STORED_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Bytes of a collection's or a key's name in storage. Over: the call answers `{error=...}`.
pub const STORED_NAME_BYTES_MAX: usize = 128;

/// Bytes of a bot's name. Over: it is not used.
pub const BOT_NAME_BYTES_MAX: usize = 32;

/// How many of a bots' script's names are read. Over: the rest is not.
pub const BOT_NAMES_MAX: usize = 64;

/// Tables within tables, outwards bound. Deeper ones, and so cycles, are refused.
pub const VALUE_DEPTH_MAX: usize = 32;

/// Values of one input. Over: it is left out, and the author told.
pub const INPUT_VALUES_MAX: usize = 4_096;

/// Bytes of an error's message that are passed on. Over: cut.
pub const FAULT_BYTES_MAX: usize = 500;

/// Bytes of a traceback that are passed on. Over: cut.
pub const TRACEBACK_BYTES_MAX: usize = 2_000;

/// Keys of a vote's configuration as a script writes it, some of which it may have invented. Over: the call answers `{error=...}`.
pub const VOTE_KEYS_MAX: usize = 64;

/// Phases of one game. Over: the rest is ignored.
pub const PHASES_MAX: usize = 64;

/// Bytes of one script file. Over: the file is reported and not read.
pub const SCRIPT_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Files of one games folder. Over: reported, nothing is read.
pub const SCRIPT_FILES_MAX: usize = 256;

/// Directories within directories that are looked into. Deeper ones are not.
pub const SCRIPT_FOLDER_DEPTH_MAX: usize = 8;

/// Bytes of a phase's name. Over: the phases are not read, and the author is told.
pub const PHASE_NAME_BYTES_MAX: usize = 256;

/// Bytes of stored values that one match keeps in sight. Over: those it has not asked for longest are forgotten, and loaded
/// again where they are asked for.
pub const STORED_KEPT_BYTES_MAX: usize = 1 << 20;

/// Facts that wait for processor time. Over: the newest is lost, and the author is told.
pub const FACTS_OWED_MAX: usize = 1_024;

/// Bytes of one view. Over: it is not sent, and its author is told. Half of what an outbox holds by default.
pub const VIEW_BYTES_MAX: usize = 128 * 1024;

/// Bytes of one snapshot. Over: there is none, and its author is told.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 20;

/// Bytes of a state written as text for tests and `tessera check`. Over: cut.
pub const STATE_TEXT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a refusal's reason. Over: cut at a character.
pub const REASON_BYTES_MAX: usize = 64;

/// Players' ids kept as strings of the machine. Over: they are made anew.
pub const IDS_KEPT_MAX: usize = 64;

/// Tries that new files get where it was processor time or memory that was missing.
pub const RELOAD_TRIES_MAX: u32 = 5;

/// Bytes of a module that is required while the match plays. Over: an error, at the call.
pub const LATE_MODULE_BYTES_MAX: usize = 16 * 1024;

/// Players that `bots.min_players` may ask for, as the public interface has it. Over: a fault of the script.
pub const BOTS_TO_MAX: i64 = 64;

/// Bytes of one table-valued global as JSON. Over: a fault of the script.
pub const GLOBAL_BYTES_MAX: usize = 65_536;

/// Faults of one callback that are told per window. Over: counted.
pub const FAULTS_TOLD_MAX: u32 = 3;

/// That window, in microseconds of match time.
pub const FAULTS_WINDOW_US: u64 = 10_000_000;

/// Notifications of one scripted match at once, each recipient one: `game.notify_many` names at most so many, so everybody
/// of a full match can be told of its end. Over: the call answers `{error=...}`, and the author is told.
pub const SCRIPT_NOTICES_BURST: u32 = 256;

/// How many come back in a second of match time. Each is a row that lives longer than its match, and the store writes for
/// everyone: a script that notifies in every tick would leave registrations no room. Nobody reads more than these.
pub const SCRIPT_NOTICES_PER_S: u32 = 4;

/// Lines of chat of one scripted match at once; each is a row of its channel's history. Over: as above.
pub const SCRIPT_LINES_BURST: u32 = 64;

/// How many come back in a second of match time: a commentary faster than anybody reads.
pub const SCRIPT_LINES_PER_S: u32 = 4;

/// Values that one scripted match stores at once: what each player of a large one keeps, at its end. Over: as above.
pub const SCRIPT_VALUES_BURST: u32 = 256;

/// How many come back in a second of match time: one in every tick of a game at the usual 10 Hz, and some more.
pub const SCRIPT_VALUES_PER_S: u32 = 16;
