//! One channel: who is in it, what was said lately, and what keeps it readable.
//!
//! Saying something takes two steps, because it is stored in between: [`Channel::admit`] decides whether it may be
//! said, [`Channel::said`] is called once the store has it and adds it to the history. Members are told in that order,
//! so it is the same for all of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::content::{Content, ContentRefused, Filter};
use super::places::Place;
use crate::engine::rate::{Bucket, Rate};
use crate::ids::{MessageId, PlayerId, SessionId};
use crate::limits;

/// How a channel behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRules {
    /// Messages remembered and shown to whoever joins.
    pub history_max: usize,
    /// Milliseconds a player waits between two messages; 0 does not wait.
    pub slow_mode_ms: u64,
    /// Messages and edits of all players together.
    pub rate: Rate,
    /// Messages and edits of each player: less than what the channel carries, so that no few take it from all others.
    pub rate_each: Rate,
}

impl Default for ChannelRules {
    fn default() -> Self {
        let rate = Rate::per_second(limits::CHANNEL_MESSAGES_PER_S, limits::CHANNEL_MESSAGES_BURST);
        let rate_each =
            Rate::per_second(limits::CHANNEL_MESSAGES_PER_PLAYER_PER_S, limits::CHANNEL_MESSAGES_PER_PLAYER_BURST);
        Self { history_max: 200, slow_mode_ms: 0, rate, rate_each }
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A player, through one of their sessions.
    Player(PlayerId, SessionId),
    /// One of the two players of a direct channel, who writes to the other without having joined it.
    Writer(PlayerId),
    /// The server: a game or an operator. Bound by the content rules alone.
    Server,
}

impl Sender {
    /// The player; `None` for the server.
    pub fn player(self) -> Option<PlayerId> {
        match self {
            Self::Player(player, _) | Self::Writer(player) => Some(player),
            Self::Server => None,
        }
    }
}

/// Who changes something that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Editor {
    /// Its author, through one of their sessions.
    Author(PlayerId, SessionId),
    /// An operator or a game: any message.
    Moderator,
}

/// One message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The message.
    pub message_id: MessageId,
    /// Who said it; `None` is the server.
    pub sender: Option<PlayerId>,
    /// What it says now.
    pub content: Arc<str>,
    /// When it was said, unix milliseconds.
    pub sent_unix_ms: u64,
    /// Whether it was changed since.
    pub edited: bool,
}

/// Why something is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SayRefused {
    /// The session has not joined.
    #[error("join the channel before saying something in it")]
    NotMember,
    /// The player is muted here.
    #[error("muted for another {retry_ms} ms")]
    Muted {
        /// Milliseconds until the mute ends.
        retry_ms: u64,
    },
    /// Too soon after the player's last message.
    #[error("slow mode: wait another {retry_ms} ms")]
    SlowMode {
        /// Milliseconds until the next may be said.
        retry_ms: u64,
    },
    /// The player alone says more than their share of what the channel carries.
    #[error("too fast, try again in {retry_ms} ms")]
    TooFast {
        /// Milliseconds until one more fits.
        retry_ms: u64,
    },
    /// All together say more than the channel carries.
    #[error("the channel is too busy, try again in {retry_ms} ms")]
    Busy {
        /// Milliseconds until one more fits.
        retry_ms: u64,
    },
    /// The text itself.
    #[error(transparent)]
    Content(#[from] ContentRefused),
}

/// Why a message is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The channel remembers it, and somebody else said it.
    #[error("only its author or an operator changes a message")]
    NotAuthor,
    /// As for a new message.
    #[error(transparent)]
    Say(#[from] SayRefused),
}

#[derive(Debug)]
struct Member<H> {
    player: PlayerId,
    handle: H,
}

/// What the channel remembers of one player, in it or not.
#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    muted_until_ms: Option<u64>,
    said_ms: Option<u64>,
    typed_ms: Option<u64>,
    /// What is left of the share of what the channel carries that is theirs; none before they took of it.
    share: Option<Bucket>,
}

/// What is left of a channel that nobody is in any more: how lately who spoke, and how much all together.
#[derive(Debug, Clone)]
pub struct Pace {
    standing: HashMap<PlayerId, Standing>,
    bucket: Bucket,
    until_ms: u64,
}

impl Pace {
    /// From then on a new channel knows as much.
    pub(super) fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// How much it takes to keep: a share for each player, and one.
    pub(super) fn weight(&self) -> usize {
        self.standing.len() + 1
    }
}

/// A channel. `H` is how a member is reached: whatever its owner needs, never looked at here.
#[derive(Debug)]
pub struct Channel<H> {
    place: Place,
    rules: ChannelRules,
    members: BTreeMap<SessionId, Member<H>>,
    standing: HashMap<PlayerId, Standing>,
    history: VecDeque<Line>,
    bucket: Bucket,
}

impl<H> Channel<H> {
    /// An empty channel.
    pub fn new(place: Place, rules: ChannelRules, now_ms: u64) -> Self {
        let bucket = Bucket::full(rules.rate, now_ms);
        Self { place, rules, members: BTreeMap::new(), standing: HashMap::new(), history: VecDeque::new(), bucket }
    }

    /// What it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Lets a session in, whoever the door admitted. False if it was in already; its handle is replaced then.
    pub fn join(&mut self, session: SessionId, player: PlayerId, handle: H) -> bool {
        self.members.insert(session, Member { player, handle }).is_none()
    }

    /// Lets a session out. False if it was not in.
    pub fn leave(&mut self, session: SessionId) -> bool {
        self.members.remove(&session).is_some()
    }

    /// Lets all sessions of a player out and returns them: the door closed on them.
    pub fn expel(&mut self, player: PlayerId) -> Vec<SessionId> {
        let theirs = self.members.iter().filter(|(_, member)| member.player == player).map(|(&session, _)| session);
        let theirs: Vec<_> = theirs.collect();
        theirs.iter().for_each(|session| drop(self.members.remove(session)));
        theirs
    }

    /// Whether this session is in.
    pub fn has(&self, session: SessionId) -> bool {
        self.members.contains_key(&session)
    }

    /// Everyone in it, in an order that does not change while they stay.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (SessionId, PlayerId, &H)> {
        self.members.iter().map(|(&session, member)| (session, member.player, &member.handle))
    }

    /// What a channel that ends must not forget, or whoever leaves and comes back need not wait: none where a new one
    /// would know as much.
    pub fn pace(&self, now_ms: u64) -> Option<Pace> {
        let standing = self.standing.iter().map(|(&player, it)| (player, *it, self.counts_until_ms(it, now_ms)));
        let standing: Vec<_> = standing.filter(|(_, _, until_ms)| *until_ms > now_ms).collect();
        let full_ms = now_ms + self.bucket.full_in_ms(self.rules.rate, now_ms);
        let until_ms = standing.iter().map(|(_, _, until_ms)| *until_ms).fold(full_ms, u64::max);
        let standing = standing.into_iter().map(|(player, it, _)| (player, it)).collect();
        (until_ms > now_ms).then_some(Pace { standing, bucket: self.bucket, until_ms })
    }

    /// Goes on at the pace of the channel of that name before it.
    pub fn go_on_at(&mut self, pace: Pace) {
        self.standing = pace.standing;
        self.bucket = pace.bucket;
    }

    /// Whether something may be said now, and as what. Counts it for slow mode and the channel's rate; whoever then
    /// cannot store it gives that back with [`Self::withdraw`].
    pub fn admit(
        &mut self,
        sender: Sender,
        text: &str,
        filter: &dyn Filter,
        now_ms: u64,
    ) -> Result<Content, SayRefused> {
        let player = match sender {
            Sender::Server => return Ok(Content::new(text)?.filtered(filter, &self.place, None)?),
            Sender::Player(player, session) => {
                self.may_speak(player, session, now_ms)?;
                player
            }
            Sender::Writer(player) => {
                self.may_write(player, now_ms)?;
                player
            }
        };
        let content = Content::new(text)?;
        let last_ms = self.standing.get(&player).and_then(|standing| standing.said_ms);
        let next_ms = last_ms.map_or(0, |last_ms| last_ms.saturating_add(self.rules.slow_mode_ms));
        if next_ms > now_ms {
            return Err(SayRefused::SlowMode { retry_ms: next_ms - now_ms });
        }
        let content = content.filtered(filter, &self.place, Some(player))?;
        self.take_share(player, now_ms)?.said_ms = Some(now_ms);
        Ok(content)
    }

    /// One message or edit of a player: from their own share first, which takes nothing from the others where it is used
    /// up, then from what the channel carries.
    fn take_share(&mut self, player: PlayerId, now_ms: u64) -> Result<&mut Standing, SayRefused> {
        let ChannelRules { rate, rate_each, .. } = self.rules;
        let mut share =
            self.standing.get(&player).and_then(|it| it.share).unwrap_or_else(|| Bucket::full(rate_each, now_ms));
        share.take(rate_each, now_ms).map_err(|limited| SayRefused::TooFast { retry_ms: limited.retry_ms })?;
        self.bucket.take(rate, now_ms).map_err(|limited| SayRefused::Busy { retry_ms: limited.retry_ms })?;
        self.forget_standings(now_ms);
        let standing = self.standing.entry(player).or_default();
        standing.share = Some(share);
        Ok(standing)
    }

    /// What was admitted could not be stored: it does not count.
    pub fn withdraw(&mut self, sender: Sender) {
        if let Some(standing) = sender.player().and_then(|player| self.standing.get_mut(&player)) {
            standing.said_ms = None;
            if let Some(share) = &mut standing.share {
                share.give_back(self.rules.rate_each);
            }
            self.bucket.give_back(self.rules.rate);
        }
    }

    /// A message is in the store. It joins the history; the oldest one leaves if need be.
    pub fn said(&mut self, line: Line) {
        self.history.push_back(line);
        while self.history.len() > self.rules.history_max {
            self.history.pop_front();
        }
    }

    /// What was said lately, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.history.iter()
    }

    /// Takes the history that the store kept, oldest first, ahead of what was said since.
    pub fn recall(&mut self, stored: impl IntoIterator<Item = Line>) {
        let known: Vec<Line> = self.history.drain(..).collect();
        let older = stored.into_iter().filter(|line| known.iter().all(|it| it.message_id != line.message_id));
        let lines: Vec<Line> = older.chain(known.iter().cloned()).collect();
        lines.into_iter().for_each(|line| self.said(line));
    }

    /// Whether a message may be changed to this text, and as what. A message that the history no longer holds may pass
    /// here: the store has the last word on who said it. It counts for both rates, since everybody is sent it as they are
    /// a new message; slow mode is for new messages alone, and who mistyped need not wait.
    pub fn admit_edit(
        &mut self,
        by: Editor,
        message: MessageId,
        text: &str,
        filter: &dyn Filter,
        now_ms: u64,
    ) -> Result<Content, ChangeRefused> {
        self.admit_deletion(by, message, now_ms)?;
        let content = Content::new(text).map_err(SayRefused::Content)?;
        let author = match by {
            Editor::Author(player, _) => Some(player),
            Editor::Moderator => None,
        };
        let content = content.filtered(filter, &self.place, author).map_err(SayRefused::Content)?;
        if let Some(author) = author {
            self.take_share(author, now_ms)?;
        }
        Ok(content)
    }

    /// Whether a message may be taken back. As for [`Self::admit_edit`], the store has the last word.
    pub fn admit_deletion(&self, by: Editor, message: MessageId, now_ms: u64) -> Result<(), ChangeRefused> {
        let Editor::Author(player, session) = by else { return Ok(()) };
        self.may_speak(player, session, now_ms)?;
        match self.history.iter().find(|line| line.message_id == message) {
            Some(line) if line.sender != Some(player) => Err(ChangeRefused::NotAuthor),
            _ => Ok(()),
        }
    }

    /// The store has the new text.
    pub fn edited(&mut self, message: MessageId, content: &Content) {
        if let Some(line) = self.history.iter_mut().find(|line| line.message_id == message) {
            line.content = content.shared();
            line.edited = true;
        }
    }

    /// The store has forgotten the message.
    pub fn deleted(&mut self, message: MessageId) {
        self.history.retain(|line| line.message_id != message);
    }

    /// Silences a player until then (a time beyond the present one lengthens or shortens an earlier mute).
    pub fn mute(&mut self, player: PlayerId, until_ms: u64) {
        self.standing.entry(player).or_default().muted_until_ms = Some(until_ms);
    }

    /// Lets a player speak again.
    pub fn unmute(&mut self, player: PlayerId) {
        if let Some(standing) = self.standing.get_mut(&player) {
            standing.muted_until_ms = None;
        }
    }

    /// Milliseconds until a player may speak again; `None` when they may.
    pub fn muted(&self, player: PlayerId, now_ms: u64) -> Option<u64> {
        let until_ms = self.standing.get(&player)?.muted_until_ms?;
        until_ms.checked_sub(now_ms).filter(|&left_ms| left_ms > 0)
    }

    /// A member is typing. Whether the others should be told: at most once in [`limits::TYPING_EVERY_MS`].
    pub fn typing(&mut self, player: PlayerId, session: SessionId, now_ms: u64) -> Result<bool, SayRefused> {
        self.may_speak(player, session, now_ms)?;
        let standing = self.standing.entry(player).or_default();
        let tell = standing.typed_ms.is_none_or(|typed_ms| now_ms >= typed_ms.saturating_add(limits::TYPING_EVERY_MS));
        if tell {
            standing.typed_ms = Some(now_ms);
        }
        Ok(tell)
    }

    #[cfg(test)]
    pub(super) fn rules(&self) -> ChannelRules {
        self.rules
    }

    /// Of how many players it remembers something.
    #[cfg(test)]
    pub(super) fn standings(&self) -> usize {
        self.standing.len()
    }

    fn may_speak(&self, player: PlayerId, session: SessionId, now_ms: u64) -> Result<(), SayRefused> {
        // The player comes from the session, so a mismatch would be our own mistake; refusing it costs nothing.
        if self.members.get(&session).is_none_or(|member| member.player != player) {
            return Err(SayRefused::NotMember);
        }
        self.not_muted(player, now_ms)
    }

    /// Whoever writes without having joined is one of two.
    fn may_write(&self, player: PlayerId, now_ms: u64) -> Result<(), SayRefused> {
        match self.place {
            Place::Dm(lo, hi) if player == lo || player == hi => self.not_muted(player, now_ms),
            _ => Err(SayRefused::NotMember),
        }
    }

    fn not_muted(&self, player: PlayerId, now_ms: u64) -> Result<(), SayRefused> {
        match self.muted(player, now_ms) {
            Some(retry_ms) => Err(SayRefused::Muted { retry_ms }),
            None => Ok(()),
        }
    }

    /// Forgets players whose mute, slow mode and typing are over and whose share is whole, once there are many of them.
    fn forget_standings(&mut self, now_ms: u64) {
        if self.standing.len() < 64.max(4 * self.members.len()) {
            return;
        }
        let mut standing = std::mem::take(&mut self.standing);
        standing.retain(|_, it| self.counts_until_ms(it, now_ms) > now_ms);
        self.standing = standing;
    }

    /// Until when it matters what is known of a player: their mute, slow mode, typing and what they used of their share.
    fn counts_until_ms(&self, it: &Standing, now_ms: u64) -> u64 {
        let after = |at_ms: Option<u64>, for_ms: u64| at_ms.map_or(0, |at_ms| at_ms.saturating_add(for_ms));
        let typed_ms = after(it.typed_ms, limits::TYPING_EVERY_MS);
        let whole_ms = it.share.map_or(0, |share| now_ms + share.full_in_ms(self.rules.rate_each, now_ms));
        it.muted_until_ms.unwrap_or(0).max(after(it.said_ms, self.rules.slow_mode_ms)).max(typed_ms).max(whole_ms)
    }
}
