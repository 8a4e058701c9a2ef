//! What is wrong with a configuration that could be read: everything that would keep its vote from being tallied or from
//! ever closing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::faults::{Faults, root};
use super::{Act, BP, DRAFT, Fault, LateJoin, OnPass, Roll, Visibility, VoteConfig, WindowType};
use crate::engine::votes::cast;
use crate::engine::votes::methods::{self, Method};
use crate::engine::votes::ties::TieBreak;
use crate::ids::PlayerId;
use crate::limits::{
    VOTE_GRACE_MS_MAX, VOTE_ID_BYTES_MAX, VOTE_LABEL_BYTES_MAX, VOTE_OPTIONS_MAX, VOTE_REVOTES_MAX, VOTE_SCORE_MAX,
    VOTE_TURNS_MAX, VOTE_WINDOW_MS_MAX,
};

impl VoteConfig {
    /// The faults of a template alone: of its keys, not of what a call must add (such as `options`).
    pub fn check_template(template: &Map<String, Value>) -> Vec<Fault> {
        let (config, mut faults) = Self::read(template);
        if template.contains_key("options") || template.contains_key("turns") {
            let told: BTreeSet<String> = faults.iter().map(|fault| root(&fault.path).to_owned()).collect();
            faults.extend(config.check(Roll::default()).into_iter().filter(|fault| !told.contains(root(&fault.path))));
        } else {
            faults.extend(
                config
                    .check(Roll::default())
                    .into_iter()
                    .filter(|fault| template.contains_key(root(&fault.path)) && root(&fault.path) != "fallback"),
            );
        }
        faults
    }

    /// Everything that would keep this vote from being tallied or from ever closing, at once.
    pub fn check(&self, roll: Roll<'_>) -> Vec<Fault> {
        let mut faults = Faults::default();
        self.check_options(&mut faults);
        self.check_numbers(&mut faults);
        let method = self.check_method(&mut faults);
        if let (Some(method), true) = (method, faults.0.iter().all(|fault| root(&fault.path) != "options")) {
            self.check_ballots(method, &mut faults);
        }
        self.check_roll(roll, &mut faults);
        faults.0
    }

    fn check_options(&self, faults: &mut Faults) {
        if self.options.is_empty() {
            faults.add("options", "expected at least one option");
        } else if self.options.len() > VOTE_OPTIONS_MAX {
            faults.add("options", format!("expected at most {VOTE_OPTIONS_MAX}, got {}", self.options.len()));
        }
        let mut seen = BTreeSet::new();
        for (i, option) in self.options.iter().enumerate().take(VOTE_OPTIONS_MAX) {
            if option.id.is_empty() || option.id.len() > VOTE_ID_BYTES_MAX || option.id.chars().any(char::is_control) {
                faults.add(
                    format!("options[{i}].id"),
                    format!("expected 1 to {VOTE_ID_BYTES_MAX} bytes without control characters"),
                );
            } else if !seen.insert(&option.id) {
                faults.add(format!("options[{i}].id"), format!("{:?} is there twice", option.id));
            }
            if option.label.len() > VOTE_LABEL_BYTES_MAX {
                faults.add(format!("options[{i}].label"), format!("expected at most {VOTE_LABEL_BYTES_MAX} bytes"));
            }
        }
        if let Some(fallback) = &self.fallback
            && !self.options.iter().any(|option| option.id == *fallback)
        {
            faults.unknown("fallback", "option", fallback, self.options.iter().map(|option| option.id.as_str()));
        }
    }

    fn check_numbers(&self, faults: &mut Faults) {
        if self.template.is_empty() || self.template.len() > VOTE_ID_BYTES_MAX {
            faults.add("template", format!("expected 1 to {VOTE_ID_BYTES_MAX} bytes"));
        }
        faults.within("window_ms", self.window_ms, 1, VOTE_WINDOW_MS_MAX);
        faults.within("grace_ms", self.grace_ms, 0, VOTE_GRACE_MS_MAX);
        if self.window_type == WindowType::Hybrid && self.min_window_ms > self.window_ms {
            faults.add(
                "min_window_ms",
                format!("expected at most window_ms ({}), got {}", self.window_ms, self.min_window_ms),
            );
        }
        faults.within("quorum_bp", self.quorum_bp.into(), 0, BP.into());
        faults.within("supermajority_bp", self.supermajority_bp.into(), 1, BP.into());
        faults.within("spectator_share_bp", self.spectator_share_bp.into(), 0, BP.into());
        faults.within("threshold_bp", self.threshold_bp.into(), 1, BP.into());
        faults.within("max_revotes", self.max_revotes.into(), 0, VOTE_REVOTES_MAX.into());
        faults.within("veto_threshold", self.veto_threshold.into(), 1, u32::MAX.into());
        faults.within("seats", self.seats.into(), 1, VOTE_OPTIONS_MAX as u64);
        faults.within("max", self.max.into(), 1, VOTE_SCORE_MAX.into());
        if self.max_choices == Some(0) {
            faults.add("max_choices", "expected at least 1, got 0");
        }
        if self.close_on_quorum && self.quorum_bp == 0 {
            faults.add("close_on_quorum", "expected quorum_bp above 0 beside it");
        }
        if self.tie_break.is_empty() {
            faults.add("tie_break", "expected at least one word; \"none\" leaves ties open");
        }
        for (i, word) in self.tie_break.iter().enumerate() {
            if self.tie_break[..i].contains(word) {
                faults.add(format!("tie_break[{i}]"), "is there twice");
            }
            if *word == TieBreak::None && i + 1 < self.tie_break.len() {
                faults.add(format!("tie_break[{i}]"), "expected \"none\" at the end only");
            }
        }
    }

    fn check_method(&self, faults: &mut Faults) -> Option<&'static Method> {
        let Some(method) = self.method() else {
            let names =
                methods::METHODS.iter().flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()));
            faults.unknown("method", "method", &self.method, names.chain([DRAFT]));
            return None;
        };
        let name = self.method_name();
        if ["plurality", "motion", DRAFT].contains(&name) && !self.weights.is_empty() {
            faults.add("weights", format!("{name} gives everyone one vote; expected method \"weighted\""));
        }
        if ["motion", DRAFT].contains(&name) && self.spectators.any() {
            faults.add("spectators", format!("have no part in a {name}"));
        }
        if self.seats > 1 && self.require_supermajority {
            faults.add("require_supermajority", "expected seats = 1 beside it");
        }
        match name {
            "motion" => self.check_motion(faults),
            DRAFT => self.check_draft(faults),
            _ if !self.turns.is_empty() => faults.add("turns", format!("are for drafts, not for {name}")),
            _ => {}
        }
        Some(method)
    }

    fn check_motion(&self, faults: &mut Faults) {
        if self.on_pass == OnPass::Kick && self.target.is_none() {
            faults.add("target", "expected the player whom the motion is about");
        }
    }

    fn check_draft(&self, faults: &mut Faults) {
        if self.turns.is_empty() {
            faults.add("turns", "a draft needs at least one turn");
        } else if self.turns.len() > VOTE_TURNS_MAX {
            faults.add("turns", format!("expected at most {VOTE_TURNS_MAX}, got {}", self.turns.len()));
        }
        let picks = self.turns.iter().any(|turn| turn.act == Act::Pick);
        if self.turns.len() > self.options.len() || (!picks && self.turns.len() == self.options.len()) {
            faults.add("turns", format!("{} turns leave nothing of {} options", self.turns.len(), self.options.len()));
        }
        for (i, turn) in self.turns.iter().enumerate().take(VOTE_TURNS_MAX) {
            faults.within(&format!("turns[{i}].window_ms"), turn.window_ms, 1, VOTE_WINDOW_MS_MAX);
        }
        let whole_ms = self.turns.iter().fold(0, |sum: u64, turn| sum.saturating_add(turn.window_ms));
        if whole_ms > VOTE_WINDOW_MS_MAX {
            faults.add("turns", format!("expected at most {VOTE_WINDOW_MS_MAX} ms together, got {whole_ms}"));
        }
        if !self.default_votes.is_empty() || !self.delegation.is_empty() {
            faults.add("turns", "a draft's turns have their own defaults; default_votes and delegation do not apply");
        }
        if self.visibility != Visibility::Live {
            faults.add("visibility", "a draft is played in the open; expected \"live\"");
        }
    }

    /// What the counting side says about the rules, and every default ballot against them.
    fn check_ballots(&self, method: &'static Method, faults: &mut Faults) {
        for fault in method.check(&self.count_rules(method, &[], 1)) {
            if !faults.0.iter().any(|known| root(&known.path) == fault.key) {
                faults.add(fault.key, fault.message);
            }
        }
        let rules = self.ballot_rules(method);
        for (player, input) in &self.default_votes {
            if let Err(refusal) = cast::ballot(input, &self.options, &rules) {
                faults.add(format!("default_votes.{player}"), refusal.to_string());
            }
        }
    }

    /// Names of players, once they are known.
    fn check_roll(&self, roll: Roll<'_>, faults: &mut Faults) {
        for (player, delegate) in &self.delegation {
            if player == delegate {
                faults.add(format!("delegation.{player}"), "a player cannot delegate to themself");
            }
        }
        let Some(eligible) = roll.eligible else { return };
        let known: BTreeSet<&PlayerId> = eligible.iter().collect();
        let newcomers = self.late_join == LateJoin::Eligible;
        let stranger = |player: &PlayerId| !known.contains(player) && !newcomers;
        let complaint = "is not an eligible player of this vote";
        for player in self.weights.keys().filter(|player| stranger(player) && !roll.spectators.contains(player)) {
            faults.add(format!("weights.{player}"), complaint);
        }
        for player in self.default_votes.keys().filter(|player| stranger(player)) {
            faults.add(format!("default_votes.{player}"), complaint);
        }
        for (player, delegate) in &self.delegation {
            if stranger(player) {
                faults.add(format!("delegation.{player}"), complaint);
            }
            // A newcomer brings weight and ballot of their own; nobody's ballot waits for somebody who may never come.
            if !known.contains(delegate) {
                faults.add(format!("delegation.{player}"), format!("{delegate} {complaint}"));
            }
        }
        // Each player vetoes a vote once, so more than there are can never be enough.
        if self.veto_enabled && self.veto_threshold as usize > known.len() {
            faults.add(
                "veto_threshold",
                format!("expected at most the {} eligible players, got {}", known.len(), self.veto_threshold),
            );
        }
    }
}
