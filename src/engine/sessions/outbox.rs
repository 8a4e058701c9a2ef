//! The outbox: bounded, ordered, and able to say what a client missed.
//!
//! Two places wait for a socket: a FIFO for what must arrive, and one slot per replaceable thing. Every entry carries
//! the sequence number of its *last* write and they leave in that order, so a tally stays between the start and the
//! result of its vote, and `match.matched` before the first state, however long the client took to read.
//!
//! Counted frames are numbered as they enter and kept in a ring, so [`Outbox::resume`] can hand a returning client
//! exactly what it missed. Nothing in the FIFO is ever dropped to make room: when it is full the push says so and the
//! socket goes, while ring and slots go on collecting for the session.

use std::collections::VecDeque;

use super::{Lane, SlotKind};

/// How much may wait, and how far back a resume reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Frames waiting in the FIFO. Over: [`Pushed::Overflow`].
    pub frames_max: usize,
    /// Bytes waiting in the FIFO, at least one frame whatever its size; also bytes in slots, where the oldest slot
    /// makes room. Over: [`Pushed::Overflow`].
    pub bytes_max: usize,
    /// Slots in use. Over: the slot that was written longest ago is given up; its next update brings it back.
    pub slots_max: usize,
    /// Counted frames kept for a resume. Over: the oldest is forgotten.
    pub replay_frames_max: usize,
    /// Bytes of counted frames kept for a resume. Over: the oldest is forgotten.
    pub replay_bytes_max: usize,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for the socket.
    Queued,
    /// It took the place of an older one that nobody needs any more.
    Replaced,
    /// No socket is attached: it is kept for the resume, or was of a kind that is not.
    Kept,
    /// It did not fit. The outbox is detached now: cut the socket, the session stays resumable.
    Overflow,
}

/// The missed frames cannot be told: the client starts again from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Whether a request was answered, as far as the ring remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    /// With the counted frame of this number.
    At(u64),
    /// Not yet.
    NotYet,
    /// That is too long ago to say.
    Forgotten,
}

/// Everything one session has still to be sent, and the recent past of what it was sent. See the module.
#[derive(Debug)]
pub struct Outbox<F> {
    bounds: Bounds,
    attached: bool,
    sequence: u64,
    /// What has a higher sequence number than this waits for [`Outbox::release`].
    held: Option<u64>,
    fifo: VecDeque<Entry<F>>,
    fifo_frames: usize,
    fifo_bytes: usize,
    slots: Vec<Slot<F>>,
    slot_bytes: usize,
    /// Counted frames since [`Outbox::begin`]; `None` before it.
    counted: Option<u64>,
    ring: VecDeque<Entry<F>>,
    ring_bytes: usize,
}

#[derive(Debug, Clone)]
struct Entry<F> {
    sequence: u64,
    bytes: usize,
    /// Bounded already, by the ring it came from, and so free of the FIFO's bounds.
    replayed: bool,
    frame: F,
}

#[derive(Debug)]
struct Slot<F> {
    key: (SlotKind, u128),
    sequence: u64,
    bytes: usize,
    frame: F,
}

impl<F: Clone> Outbox<F> {
    /// An empty outbox without a socket, not counting yet. Allocates nothing.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            attached: false,
            sequence: 0,
            held: None,
            fifo: VecDeque::new(),
            fifo_frames: 0,
            fifo_bytes: 0,
            slots: Vec::new(),
            slot_bytes: 0,
            counted: None,
            ring: VecDeque::new(),
            ring_bytes: 0,
        }
    }

    /// Takes a frame of `bytes` bytes.
    pub fn push(&mut self, lane: Lane, bytes: usize, frame: F) -> Pushed {
        self.sequence += 1;
        let sequence = self.sequence;
        match lane {
            Lane::Latest(kind, id) => self.write_slot(Slot { key: (kind, id), sequence, bytes, frame }),
            Lane::Uncounted => self.enqueue(Entry { sequence, bytes, replayed: false, frame }),
            Lane::Counted => {
                let entry = Entry { sequence, bytes, replayed: false, frame };
                if let Some(counted) = &mut self.counted {
                    *counted += 1;
                    self.remember(entry.clone());
                }
                self.enqueue(entry)
            }
        }
    }

    /// The next frame to send and its size, oldest last write first.
    pub fn pop(&mut self) -> Option<(F, usize)> {
        if !self.attached {
            return None;
        }
        let slot = self.slots.iter().enumerate().map(|(at, slot)| (slot.sequence, at)).min();
        let queued = self.fifo.front().map(|entry| entry.sequence);
        if self.is_held(slot.map(|(sequence, _)| sequence), queued) {
            return None;
        }
        if let Some((sequence, at)) = slot
            && queued.is_none_or(|queued| sequence < queued)
        {
            let slot = self.take_slot(at);
            return Some((slot.frame, slot.bytes));
        }
        let entry = self.fifo.pop_front()?;
        if !entry.replayed {
            self.fifo_frames -= 1;
            self.fifo_bytes -= entry.bytes;
        }
        if self.fifo.is_empty() {
            // A session is quiet most of the time, and ten thousand quiet ones should cost little.
            self.fifo = VecDeque::new();
        }
        Some((entry.frame, entry.bytes))
    }

    /// Whether nothing waits for the socket.
    pub fn is_empty(&self) -> bool {
        let slot = self.slots.iter().map(|slot| slot.sequence).min();
        let queued = self.fifo.front().map(|entry| entry.sequence);
        (slot.is_none() && queued.is_none()) || self.is_held(slot, queued)
    }

    /// Whether whatever comes next waits for [`Outbox::release`].
    fn is_held(&self, slot: Option<u64>, queued: Option<u64>) -> bool {
        let next = slot.into_iter().chain(queued).min();
        self.held.is_some_and(|held| next.is_some_and(|next| next > held))
    }

    /// From now on everything waits, until [`Outbox::release`] says what comes first.
    pub fn hold(&mut self) {
        self.held = Some(self.sequence);
    }

    /// Sends `first`, a counted frame of `bytes` bytes, and then everything that was held for it. It is numbered as if it
    /// had been pushed at [`Outbox::hold`]: nobody was sent any of the frames behind it yet.
    pub fn release(&mut self, first: F, bytes: usize) {
        let Some(held) = self.held.take() else {
            self.push(Lane::Counted, bytes, first);
            return;
        };
        let entry = Entry { sequence: held, bytes, replayed: true, frame: first };
        let behind = |queue: &VecDeque<Entry<F>>| queue.partition_point(|entry| entry.sequence <= held);
        if let Some(counted) = &mut self.counted {
            // Where the ring forgot frames since, it would have forgotten this one before them.
            let remembered = *counted == self.ring.len() as u64;
            *counted += 1;
            if remembered {
                let at = behind(&self.ring);
                self.ring.insert(at, entry.clone());
                self.ring_bytes += bytes;
                self.trim_ring();
            }
        }
        if self.attached {
            let at = behind(&self.fifo);
            self.fifo.insert(at, entry);
        }
    }

    /// Whether a request that came when `since` frames were counted has been answered, by a frame that `answers` knows.
    pub fn reply(&self, since: u64, answers: impl Fn(&F) -> bool) -> Replied {
        let forgotten = self.counted() - self.ring.len() as u64;
        let skipped = since.saturating_sub(forgotten);
        match self.ring.iter().skip(skipped as usize).position(|entry| answers(&entry.frame)) {
            Some(at) => Replied::At(forgotten + skipped + at as u64 + 1),
            None if since >= forgotten => Replied::NotYet,
            None => Replied::Forgotten,
        }
    }

    /// Bytes that still have room among what waits.
    pub fn room(&self) -> usize {
        self.bounds.bytes_max.saturating_sub(self.fifo_bytes)
    }

    /// Whether a quarter of what may wait does: time to hear no more from whoever causes it.
    pub fn is_filling(&self) -> bool {
        self.fifo_frames > self.bounds.frames_max / 4 || self.fifo_bytes > self.bounds.bytes_max / 4
    }

    /// A socket is there: what is pushed from now on waits for it, and so do the slots.
    pub fn attach(&mut self) {
        self.attached = true;
    }

    /// The socket is gone. What waited in the FIFO is left to the ring; the slots keep the newest.
    pub fn detach(&mut self) {
        self.attached = false;
        self.fifo = VecDeque::new();
        self.fifo_frames = 0;
        self.fifo_bytes = 0;
    }

    /// Whether a socket is attached.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Starts counting at 0, as both sides do with a new `session.connected`, and forgets ring and slots: nothing of a
    /// session reaches the next one.
    pub fn begin(&mut self) {
        self.counted = Some(0);
        self.held = None;
        self.slots.clear();
        self.slot_bytes = 0;
        self.ring.clear();
        self.ring_bytes = 0;
    }

    /// Counted frames since [`Outbox::begin`]; 0 before it.
    pub fn counted(&self) -> u64 {
        self.counted.unwrap_or(0)
    }

    /// Attaches the socket of a client that says it has `received` counted frames: the `lead` frames (with their sizes)
    /// leave first, `session.connected` the last of them, then exactly what it missed, then everything after. Answers
    /// how many it missed; on [`Gone`] nothing changed.
    pub fn resume(&mut self, received: u64, lead: impl IntoIterator<Item = (F, usize)>) -> Result<usize, Gone> {
        let missed = self.missed(received)?;
        self.detach();
        self.attached = true;
        self.fifo.extend(lead.into_iter().map(|(frame, bytes)| Entry { sequence: 0, bytes, replayed: true, frame }));
        let from = self.ring.len() - missed;
        self.fifo.extend(self.ring.range(from..).cloned().map(|entry| Entry { replayed: true, ..entry }));
        Ok(missed)
    }

    /// How many counted frames a client that has `received` of them is missing, if they can still be told.
    pub fn missed(&self, received: u64) -> Result<usize, Gone> {
        if self.held.is_some() {
            // It has yet to be told where it stands.
            return Err(Gone);
        }
        let missed = self.counted.and_then(|counted| counted.checked_sub(received)).ok_or(Gone)?;
        usize::try_from(missed).ok().filter(|missed| *missed <= self.ring.len()).ok_or(Gone)
    }

    /// Forgets what waits in a slot: a result ends its tally, leaving a match ends its state.
    pub fn clear_slot(&mut self, kind: SlotKind, id: u128) {
        if let Some(at) = self.slots.iter().position(|slot| slot.key == (kind, id)) {
            self.take_slot(at);
        }
    }

    /// As [`Outbox::clear_slot`], for everything of that kind.
    pub fn clear_slots(&mut self, kind: SlotKind) {
        while let Some(at) = self.slots.iter().position(|slot| slot.key.0 == kind) {
            self.take_slot(at);
        }
    }

    fn enqueue(&mut self, entry: Entry<F>) -> Pushed {
        if !self.attached {
            return Pushed::Kept;
        }
        let full = self.fifo_frames >= self.bounds.frames_max
            || (self.fifo_frames > 0 && self.fifo_bytes + entry.bytes > self.bounds.bytes_max);
        if full {
            self.detach();
            return Pushed::Overflow;
        }
        self.fifo_frames += 1;
        self.fifo_bytes += entry.bytes;
        self.fifo.push_back(entry);
        Pushed::Queued
    }

    fn remember(&mut self, entry: Entry<F>) {
        self.ring_bytes += entry.bytes;
        self.ring.push_back(entry);
        self.trim_ring();
    }

    fn trim_ring(&mut self) {
        while self.ring.len() > self.bounds.replay_frames_max || self.ring_bytes > self.bounds.replay_bytes_max {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.ring_bytes -= oldest.bytes;
        }
    }

    fn write_slot(&mut self, slot: Slot<F>) -> Pushed {
        self.slot_bytes += slot.bytes;
        let replaced = match self.slots.iter_mut().find(|old| old.key == slot.key) {
            Some(old) => {
                self.slot_bytes -= old.bytes;
                *old = slot;
                true
            }
            None => {
                self.slots.push(slot);
                false
            }
        };
        while self.slots.len() > 1
            && (self.slots.len() > self.bounds.slots_max || self.slot_bytes > self.bounds.bytes_max)
        {
            let oldest = (0..self.slots.len()).min_by_key(|at| self.slots[*at].sequence).unwrap_or(0);
            let key = self.slots[oldest].key;
            // What changed is worth nothing without the state it stands on.
            let stands_on_it = (key.0 == SlotKind::MatchState)
                .then(|| self.slots.iter().position(|slot| slot.key == (SlotKind::MatchDelta, key.1)))
                .flatten();
            self.take_slot(stands_on_it.unwrap_or(oldest));
        }
        match (self.attached, replaced) {
            (_, true) => Pushed::Replaced,
            (true, false) => Pushed::Queued,
            (false, false) => Pushed::Kept,
        }
    }

    fn take_slot(&mut self, at: usize) -> Slot<F> {
        let slot = self.slots.swap_remove(at);
        self.slot_bytes -= slot.bytes;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOMY: Bounds = Bounds {
        frames_max: 1_000,
        bytes_max: 1_000_000,
        slots_max: 64,
        replay_frames_max: 1_000,
        replay_bytes_max: 1_000_000,
    };

    fn lane(name: &str) -> Lane {
        let (kind, id) = name.split_once(':').unwrap_or((name, "0"));
        let id = id.parse().unwrap_or(0);
        match kind {
            "state" => Lane::Latest(SlotKind::MatchState, id),
            "delta" => Lane::Latest(SlotKind::MatchDelta, id),
            "tally" => Lane::Latest(SlotKind::VoteTally, id),
            "heartbeat" => Lane::Uncounted,
            _ => Lane::Counted,
        }
    }

    /// Runs words against an outbox: a plain word is a frame of that name, `!` words do something; answers what the
    /// socket saw, with `|` where something other than a frame happened.
    fn run(bounds: Bounds, script: &str) -> String {
        let mut outbox: Outbox<String> = Outbox::new(bounds);
        let mut seen: Vec<String> = Vec::new();
        for word in script.split_whitespace() {
            match word.strip_prefix('!').map(|verb| verb.split_once('=').unwrap_or((verb, ""))) {
                Some(("attach", _)) => outbox.attach(),
                Some(("detach", _)) => outbox.detach(),
                Some(("begin", _)) => outbox.begin(),
                Some(("drain", _)) => {
                    while let Some((frame, _)) = outbox.pop() {
                        seen.push(frame);
                    }
                }
                Some(("hold", _)) => outbox.hold(),
                Some(("release", first)) => outbox.release(first.into(), first.len()),
                Some(("replied", asked)) => {
                    let (since, name) = asked.split_once(':').expect("since:name");
                    let replied = outbox.reply(since.parse().expect("a count"), |frame| frame == name);
                    seen.push(format!("|{replied:?}|"));
                }
                Some(("pop", _)) => seen.extend(outbox.pop().map(|(frame, _)| frame)),
                Some(("clear", name)) => {
                    if let Lane::Latest(kind, id) = lane(name) {
                        outbox.clear_slot(kind, id);
                    }
                }
                Some(("resume", received)) => {
                    match outbox.resume(received.parse().expect("a count"), [("connected".into(), 9)]) {
                        Ok(missed) => seen.push(format!("|missed {missed}|")),
                        Err(Gone) => seen.push("|gone|".into()),
                    }
                }
                Some((other, _)) => panic!("no such verb {other}"),
                None => {
                    if outbox.push(lane(word.split('/').next().unwrap_or("")), word.len(), word.into())
                        == Pushed::Overflow
                    {
                        seen.push("|overflow|".into());
                    }
                }
            }
        }
        seen.join(" ")
    }

    #[test]
    fn frames_leave_in_the_order_of_their_last_write() {
        for (script, seen) in [
            ("!attach a b c !drain", "a b c"),
            ("!attach state/1 a state/2 b !drain", "a state/2 b"),
            ("!attach matched state/1 state/2 !drain", "matched state/2"),
            ("!attach start tally:7/1 chat tally:7/2 !drain result !drain", "start chat tally:7/2 result"),
            ("!attach start tally:7/1 tally:7/2 !clear=tally:7 result !drain", "start result"),
            ("!attach tally:7/1 tally:8/1 !clear=tally:7 !drain", "tally:8/1"),
            ("!attach state:1/a state:2/a state:1/b !drain", "state:2/a state:1/b"),
            ("!attach a state/1 !pop state/2 b !drain", "a state/2 b"),
            ("!attach heartbeat/1 heartbeat/2 !drain", "heartbeat/1 heartbeat/2"),
        ] {
            assert_eq!(run(ROOMY, script), seen, "{script}");
        }
    }

    #[test]
    fn a_resume_gets_exactly_what_was_missed() {
        for (script, seen) in [
            // Nothing missed, nothing told twice.
            ("!attach !begin a b !drain !detach !resume=2 !drain", "a b |missed 0| connected"),
            // Sent but lost on the way.
            ("!attach !begin a b !drain !detach !resume=1 !drain", "a b |missed 1| connected b"),
            // Said while away, with the newest state in its place.
            (
                "!attach !begin a !drain !detach b state/1 c state/2 d !resume=1 !drain",
                "a |missed 3| connected b c state/2 d",
            ),
            // Waiting in the FIFO when the socket went.
            ("!attach !begin a b !pop !detach c !resume=1 !drain", "a |missed 2| connected b c"),
            // Live traffic follows.
            ("!attach !begin a !detach !resume=0 b !drain", "|missed 1| connected a b"),
            // Resuming over a socket that was never seen to go.
            ("!attach !begin a b !pop !resume=1 c !drain", "a |missed 1| connected b c"),
            // Twice: the count goes on over connections.
            (
                "!attach !begin a !drain !detach b !resume=1 !drain c !detach !resume=2 !drain",
                "a |missed 1| connected b |missed 1| connected c",
            ),
            // Heartbeats and states never count.
            (
                "!attach !begin heartbeat state/1 a !drain !detach heartbeat !resume=1 !drain",
                "heartbeat state/1 a |missed 0| connected",
            ),
            // More than was sent, or before there was a session.
            ("!attach !begin a !detach !resume=2", "|gone|"),
            ("!attach a !detach !resume=0", "|gone|"),
            // A new session starts at 0 and owes nothing of the old one.
            ("!attach !begin a b !begin c !detach !resume=0 !drain", "|missed 1| connected c"),
            ("!attach !begin a b !begin c !detach !resume=3 !drain", "|gone|"),
        ] {
            assert_eq!(run(ROOMY, script), seen, "{script}");
        }
    }

    #[test]
    fn what_is_held_follows_what_it_was_held_for() {
        let short = Bounds { replay_frames_max: 2, ..ROOMY };
        let few = Bounds { frames_max: 2, ..ROOMY };
        for (bounds, script, seen) in [
            (ROOMY, "!attach !begin hello !hold a state/1 b !drain !release=snap !drain", "hello snap a state/1 b"),
            (ROOMY, "!attach !begin hello !drain !hold state/1 !drain !release=snap !drain", "hello snap state/1"),
            (
                ROOMY,
                "!attach !begin !hold a !release=snap !drain !detach !resume=1 !drain",
                "snap a |missed 1| connected a",
            ),
            (ROOMY, "!attach !begin !hold a !release=snap !detach !resume=0 !drain", "|missed 2| connected snap a"),
            // The socket went meanwhile: the session that comes back is told all of it.
            (ROOMY, "!attach !begin !hold a !detach b !release=snap !resume=0 !drain", "|missed 3| connected snap a b"),
            // It cannot be resumed before it was told where it stands.
            (ROOMY, "!attach !begin !hold a !detach !resume=0", "|gone|"),
            (
                short,
                "!attach !begin !hold a b c !release=snap !drain !detach !resume=2 !drain",
                "snap a b c |missed 2| connected b c",
            ),
            (short, "!attach !begin !hold a b c !release=snap !drain !detach !resume=1", "snap a b c |gone|"),
            (few, "!attach !begin !hold a b !release=snap !drain", "snap a b"),
            // Nothing was held: it is a frame like others.
            (ROOMY, "!attach !begin a !release=snap b !drain", "a snap b"),
        ] {
            assert_eq!(run(bounds, script), seen, "{script}");
        }
    }

    #[test]
    fn the_ring_knows_which_request_was_answered() {
        let short = Bounds { replay_frames_max: 2, ..ROOMY };
        for (bounds, script, seen) in [
            (ROOMY, "!attach !begin a b !replied=0:b !replied=1:b !replied=2:b", "|At(2)| |At(2)| |NotYet|"),
            (short, "!attach !begin a b c d !replied=1:a !replied=1:d !replied=2:a", "|Forgotten| |At(4)| |NotYet|"),
        ] {
            assert_eq!(run(bounds, script), seen, "{script}");
        }
    }

    #[test]
    fn a_full_outbox_loses_its_socket_and_nothing_else() {
        let few = Bounds { frames_max: 3, ..ROOMY };
        let small = Bounds { bytes_max: 10, ..ROOMY };
        let short = Bounds { replay_frames_max: 2, ..ROOMY };
        let light = Bounds { replay_bytes_max: 6, ..ROOMY };
        for (bounds, script, seen) in [
            (few, "!attach !begin a b c d !drain", "|overflow|"),
            (few, "!attach !begin a b c d e !resume=0 !drain", "|overflow| |missed 5| connected a b c d e"),
            // States replace each other and never fill anything.
            (few, "!attach state/1 state/2 state/3 state/4 state/5 !drain", "state/5"),
            // What a resume replays does not count against the live bound.
            (few, "!attach !begin a b c d !resume=0 e f g !drain", "|overflow| |missed 4| connected a b c d e f g"),
            (small, "!attach 12345 12345 !drain", "12345 12345"),
            (small, "!attach 12345 12345 1", "|overflow|"),
            // One frame over the byte bound still goes out: otherwise it never could.
            (small, "!attach 123456789012345 !drain 1 !drain", "123456789012345 1"),
            (short, "!attach !begin a b c !detach !resume=1 !drain", "|missed 2| connected b c"),
            (short, "!attach !begin a b c !detach !resume=0", "|gone|"),
            (light, "!attach !begin aaa bbb ccc !detach !resume=1 !drain", "|missed 2| connected bbb ccc"),
            (light, "!attach !begin aaa bbb ccc !detach !resume=0", "|gone|"),
        ] {
            assert_eq!(run(bounds, script), seen, "{script}");
        }
    }

    #[test]
    fn slots_are_bounded_and_the_stalest_makes_room() {
        let bounds = Bounds { slots_max: 2, ..ROOMY };
        assert_eq!(run(bounds, "!attach tally:1/a tally:2/a tally:1/b tally:3/a !drain"), "tally:1/b tally:3/a");
        let bounds = Bounds { bytes_max: 20, ..ROOMY };
        assert_eq!(
            run(bounds, "!attach state:1/0123 state:2/0123 state:3/0123456789012345678 !drain"),
            "state:3/0123456789012345678"
        );
        // What changed goes before the state it stands on.
        let bounds = Bounds { slots_max: 3, ..ROOMY };
        assert_eq!(
            run(bounds, "!attach state:1/a delta:1/b tally:1/c tally:2/d !drain"),
            "state:1/a tally:1/c tally:2/d"
        );
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Deliver(usize),
        Cut,
        Return,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u8..6).prop_map(Step::Push),
            3 => (1usize..8).prop_map(Step::Deliver),
            1 => Just(Step::Cut),
            1 => Just(Step::Return),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever the cuts: counted frames arrive once each and in order, and a replaceable frame never arrives
        /// before something older or after something newer of its kind.
        #[test]
        fn nothing_is_lost_or_doubled(steps in steps()) {
            let mut outbox: Outbox<(Lane, u64)> = Outbox::new(Bounds { frames_max: 16, ..ROOMY });
            outbox.attach();
            outbox.begin();
            let (mut next, mut sent, mut got) = (0u64, Vec::new(), Vec::new());
            let mut last_seen = 0u64;
            let connected = (Lane::Uncounted, u64::MAX);
            let finish = [Step::Cut, Step::Return, Step::Deliver(usize::MAX)];
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Push(what) => {
                        next += 1;
                        let lane = match what {
                            0 => Lane::Latest(SlotKind::MatchState, 1),
                            1 => Lane::Latest(SlotKind::VoteTally, 1),
                            2 => Lane::Uncounted,
                            _ => Lane::Counted,
                        };
                        outbox.push(lane, 8, (lane, next));
                        if lane == Lane::Counted {
                            sent.push(next);
                        }
                    }
                    Step::Deliver(frames) => {
                        for _ in 0..frames {
                            let Some(((lane, number), _)) = outbox.pop() else { break };
                            if number == u64::MAX {
                                continue;
                            }
                            prop_assert!(number > last_seen || lane != Lane::Counted, "{number} after {last_seen}");
                            last_seen = last_seen.max(number);
                            if lane == Lane::Counted {
                                got.push(number);
                            }
                        }
                    }
                    Step::Cut => outbox.detach(),
                    Step::Return => {
                        let missed = outbox.resume(got.len() as u64, [(connected, 8)]);
                        prop_assert_eq!(missed, Ok(sent.len() - got.len()));
                    }
                }
            }
            prop_assert_eq!(got, sent);
        }
    }
}
