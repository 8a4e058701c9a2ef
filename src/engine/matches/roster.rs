//! Who is in a match: seats in order of joining, spectators, who is away, and what each player has left to spend.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::engine::votes::veto::VetoTokens;
use crate::ids::PlayerId;
use crate::limits::BARRED_PER_MATCH_MAX;

/// One taken seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Whose.
    pub player: PlayerId,
    /// Whether a bot sits in it.
    pub bot: bool,
    /// Which of the mode's teams it belongs to, from 1; none where the mode has none, or all of them are full.
    pub team: Option<u32>,
    /// False while the player's connection is gone and the seat is held.
    pub present: bool,
    /// When the player was last heard of, in monotonic microseconds.
    pub heard_us: u64,
    /// Whether the player was warned for being idle.
    pub warned_idle: bool,
}

/// The people of one match.
#[derive(Debug)]
pub struct Roster {
    seats: Vec<Seat>,
    seated: Vec<PlayerId>,
    seats_max: usize,
    spectators: Vec<PlayerId>,
    spectators_max: usize,
    /// Seats per team, in order.
    team_sizes: Vec<u32>,
    /// The teams of players who are about to take a seat.
    placed: HashMap<PlayerId, u32>,
    /// Who was shown out and may not come back.
    barred: VecDeque<PlayerId>,
    /// Outlive a leave: leaving and rejoining refills nothing.
    pub veto_tokens: VetoTokens,
}

/// Why a place was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// Every seat (or spectator place) is taken.
    Full,
    /// They are in the match already.
    AlreadyIn,
    /// They were kicked out of it.
    Barred,
}

impl Roster {
    /// An empty roster.
    pub fn new(seats_max: u32, spectators_max: u32, veto_tokens_each: u32) -> Self {
        Self {
            seats: Vec::new(),
            seated: Vec::new(),
            seats_max: seats_max as usize,
            spectators: Vec::new(),
            spectators_max: spectators_max as usize,
            team_sizes: Vec::new(),
            placed: HashMap::new(),
            barred: VecDeque::new(),
            veto_tokens: VetoTokens::new(veto_tokens_each),
        }
    }

    /// The same with teams of these sizes.
    pub fn with_teams(self, sizes: &[u32]) -> Self {
        Self { team_sizes: sizes.to_vec(), ..self }
    }

    /// A player who takes a seat next belongs to this team, from 1; others go where there is room first.
    pub fn place(&mut self, player: PlayerId, team: u32) {
        self.placed.insert(player, team);
    }

    /// Seats that are free in each team; all that are free of `size` where there are no teams.
    pub fn free_in_teams(&self, size: u32) -> Vec<u32> {
        if self.team_sizes.is_empty() {
            return vec![size.saturating_sub(self.seats.len() as u32)];
        }
        (1..).zip(&self.team_sizes).map(|(team, &size)| size.saturating_sub(self.in_team(team))).collect()
    }

    fn in_team(&self, team: u32) -> u32 {
        self.seats.iter().filter(|seat| seat.team == Some(team)).count() as u32
    }

    /// Teams by number, each in the order its players were seated; where the mode has none, every seat is one.
    pub fn teams(&self) -> BTreeMap<u32, Vec<PlayerId>> {
        if self.team_sizes.is_empty() {
            return (1..).zip(self.seats.iter().map(|seat| vec![seat.player])).collect();
        }
        let mut teams: BTreeMap<_, Vec<_>> = (1..=self.team_sizes.len() as u32).map(|team| (team, vec![])).collect();
        for seat in &self.seats {
            if let Some(team) = seat.team.and_then(|team| teams.get_mut(&team)) {
                team.push(seat.player);
            }
        }
        teams
    }

    /// A bot plays on in the seat of a player who did not come back; false when they have none.
    pub fn hand_to_bot(&mut self, player: PlayerId) -> bool {
        self.seat_mut(player).map(|seat| (seat.bot, seat.present) = (true, true)).is_some()
    }

    /// Whether a bot plays on in the seat of this player.
    pub fn is_bot(&self, player: PlayerId) -> bool {
        self.seats.iter().any(|seat| seat.player == player && seat.bot)
    }

    /// Keeps a player out from now on. Frees nothing: see [`Self::unseat`].
    pub fn bar(&mut self, player: PlayerId) {
        if self.barred.contains(&player) {
            return;
        }
        if self.barred.len() >= BARRED_PER_MATCH_MAX {
            self.barred.pop_front();
        }
        self.barred.push_back(player);
    }

    /// Whether the player was shown out.
    pub fn is_barred(&self, player: PlayerId) -> bool {
        self.barred.contains(&player)
    }

    /// Everyone who was shown out and is not forgotten.
    pub fn barred(&self) -> impl Iterator<Item = PlayerId> {
        self.barred.iter().copied()
    }

    /// Takes a seat.
    pub fn seat(&mut self, player: PlayerId, bot: bool, now_us: u64) -> Result<(), NoPlace> {
        if self.is_barred(player) {
            return Err(NoPlace::Barred);
        }
        if self.is_seated(player) || self.is_spectator(player) {
            return Err(NoPlace::AlreadyIn);
        }
        if self.seats.len() >= self.seats_max {
            return Err(NoPlace::Full);
        }
        let has_room = |team: u32| {
            let size = self.team_sizes.get(team.checked_sub(1)? as usize)?;
            (self.in_team(team) < *size).then_some(team)
        };
        let wanted = self.placed.get(&player).copied().and_then(has_room);
        let team = wanted.or_else(|| (1..=self.team_sizes.len() as u32).find_map(has_room));
        self.placed.remove(&player);
        self.seats.push(Seat { player, bot, team, present: true, heard_us: now_us, warned_idle: false });
        self.seated.push(player);
        Ok(())
    }

    /// Takes a spectator's place.
    pub fn spectate(&mut self, player: PlayerId) -> Result<(), NoPlace> {
        if self.is_barred(player) {
            return Err(NoPlace::Barred);
        }
        if self.is_seated(player) || self.is_spectator(player) {
            return Err(NoPlace::AlreadyIn);
        }
        if self.spectators.len() >= self.spectators_max {
            return Err(NoPlace::Full);
        }
        self.spectators.push(player);
        Ok(())
    }

    /// Frees the seat; false when there was none.
    pub fn unseat(&mut self, player: PlayerId) -> bool {
        let before = self.seats.len();
        self.seats.retain(|seat| seat.player != player);
        self.seated.retain(|seated| *seated != player);
        self.seats.len() < before
    }

    /// Frees a spectator's place; false when there was none.
    pub fn unspectate(&mut self, player: PlayerId) -> bool {
        let before = self.spectators.len();
        self.spectators.retain(|spectator| *spectator != player);
        self.spectators.len() < before
    }

    /// Marks a player as away or back; true when that changed something.
    pub fn set_present(&mut self, player: PlayerId, present: bool, now_us: u64) -> bool {
        match self.seat_mut(player) {
            Some(seat) if seat.present != present => {
                seat.present = present;
                seat.heard_us = now_us;
                // Who comes back has as long as everybody, and is warned as everybody.
                seat.warned_idle = false;
                true
            }
            _ => false,
        }
    }

    /// Notes that a player did something; clears their idle warning.
    pub fn heard(&mut self, player: PlayerId, now_us: u64) {
        if let Some(seat) = self.seat_mut(player) {
            seat.heard_us = now_us;
            seat.warned_idle = false;
        }
    }

    /// The seat of `player`.
    pub fn seat_mut(&mut self, player: PlayerId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.player == player)
    }

    /// Every seat, in order of joining.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Every seat, to warn the idle.
    pub fn seats_mut(&mut self) -> &mut [Seat] {
        &mut self.seats
    }

    /// Seated players in order of joining.
    pub fn players(&self) -> &[PlayerId] {
        &self.seated
    }

    /// Spectators in order of coming.
    pub fn spectators(&self) -> &[PlayerId] {
        &self.spectators
    }

    /// Whether `player` has a seat.
    pub fn is_seated(&self, player: PlayerId) -> bool {
        self.seated.contains(&player)
    }

    /// Whether `player` watches.
    pub fn is_spectator(&self, player: PlayerId) -> bool {
        self.spectators.contains(&player)
    }

    /// Whether no human has a seat.
    pub fn is_deserted(&self) -> bool {
        self.seats.iter().all(|seat| seat.bot)
    }

    /// Seats that are free.
    pub fn free(&self) -> usize {
        self.seats_max - self.seats.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> PlayerId {
        PlayerId::from_u128(n)
    }

    #[test]
    fn seats_are_given_in_order_and_run_out() {
        let mut roster = Roster::new(2, 1, 0);
        assert_eq!(roster.seat(id(1), false, 0), Ok(()));
        assert_eq!(roster.seat(id(1), false, 0), Err(NoPlace::AlreadyIn));
        assert_eq!(roster.seat(id(2), true, 0), Ok(()));
        assert_eq!(roster.seat(id(3), false, 0), Err(NoPlace::Full));
        assert_eq!(roster.spectate(id(3)), Ok(()));
        assert_eq!(roster.seat(id(3), false, 0), Err(NoPlace::AlreadyIn));
        assert_eq!(roster.spectate(id(4)), Err(NoPlace::Full));
        assert_eq!(roster.players(), [id(1), id(2)]);
        assert!(roster.unseat(id(1)) && !roster.unseat(id(1)));
        assert!(roster.is_deserted(), "a bot alone is nobody");
        assert_eq!(roster.free(), 1);
    }

    #[test]
    fn whoever_was_shown_out_stays_out_even_as_a_spectator() {
        let mut roster = Roster::new(2, 2, 0);
        roster.seat(id(1), false, 0).unwrap();
        roster.bar(id(1));
        roster.unseat(id(1));
        assert_eq!(roster.seat(id(1), false, 0), Err(NoPlace::Barred));
        assert_eq!(roster.spectate(id(1)), Err(NoPlace::Barred));
        assert_eq!(roster.seat(id(2), false, 0), Ok(()));
        for n in 0..BARRED_PER_MATCH_MAX as u128 {
            roster.bar(id(100 + n));
            roster.bar(id(100 + n));
        }
        assert!(!roster.is_barred(id(1)) && roster.is_barred(id(100)), "the oldest is forgotten first");
    }

    #[test]
    fn who_comes_back_is_no_longer_warned() {
        let mut roster = Roster::new(2, 0, 0);
        roster.seat(id(1), false, 0).unwrap();
        roster.seat_mut(id(1)).unwrap().warned_idle = true;
        assert!(roster.set_present(id(1), false, 5) && roster.set_present(id(1), true, 9));
        let seat = &roster.seats()[0];
        assert_eq!((seat.warned_idle, seat.heard_us), (false, 9));
    }

    #[test]
    fn teams_keep_their_players_when_others_go() {
        let mut roster = Roster::new(5, 0, 0).with_teams(&[2, 2]);
        roster.place(id(1), 2);
        roster.place(id(9), 7);
        for player in [1, 2, 3, 9, 5] {
            roster.seat(id(player), false, 0).unwrap();
        }
        assert_eq!(roster.teams(), [(1, vec![id(2), id(3)]), (2, vec![id(1), id(9)])].into(), "and 5 is in neither");
        assert_eq!(roster.free_in_teams(4), [0, 0]);
        roster.unseat(id(2));
        assert_eq!(roster.teams()[&2], [id(1), id(9)], "nobody changes sides because somebody left");
        assert_eq!(roster.free_in_teams(4), [1, 0]);
        assert!(roster.hand_to_bot(id(3)) && roster.is_bot(id(3)) && !roster.hand_to_bot(id(2)));

        let mut alone = Roster::new(3, 0, 0);
        alone.seat(id(1), false, 0).unwrap();
        assert_eq!((alone.free_in_teams(3), alone.teams()), (vec![2], [(1, vec![id(1)])].into()));
    }

    #[test]
    fn leaving_and_rejoining_refills_no_veto_token() {
        let mut roster = Roster::new(2, 0, 1);
        roster.seat(id(1), false, 0).unwrap();
        assert!(roster.veto_tokens.hold(id(1)) && !roster.veto_tokens.hold(id(1)));
        roster.unseat(id(1));
        roster.seat(id(1), false, 0).unwrap();
        assert!(!roster.veto_tokens.hold(id(1)));
    }

    #[test]
    fn presence_changes_are_told_once() {
        let mut roster = Roster::new(2, 0, 0);
        roster.seat(id(1), false, 0).unwrap();
        assert!(roster.set_present(id(1), false, 5) && !roster.set_present(id(1), false, 6));
        assert!(roster.set_present(id(1), true, 7));
        assert!(!roster.set_present(id(9), false, 7), "a stranger is never away");
    }
}
