//! Any vote leaves a record that its result follows from, byte for byte; change one byte of the record, and it is
//! broken, or it disagrees, or that byte did not matter to the result. Any other text is refused.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use tessera::engine::votes::pools::Weigh;
use tessera::engine::votes::recount::recount;
use tessera::engine::votes::told::{Closed, VoteEffect};
use tessera::engine::votes::vote::{Vote, VoteOpen};
use tessera::engine::votes::{BallotKind, METHODS, VoteConfig};
use tessera::ids::PlayerId;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = recount(text);
    }
    let _ = tamper(&mut Unstructured::new(data));
});

fn tamper(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(closed) = play(u)? else { return Ok(()) };
    let record = closed.record.write().to_json();
    let again = recount(&record).unwrap_or_else(|broken| panic!("{broken}: {record}"));
    assert_eq!((&*again.payload, again.disagrees), (&*closed.payload, None), "{record}");

    let mut bytes = record.clone().into_bytes();
    let at = u.int_in_range(0..=bytes.len() - 1)?;
    bytes[at] = u.int_in_range(0x20..=0x7e)?;
    let Ok(forged) = String::from_utf8(bytes) else { return Ok(()) };
    if let Ok(again) = recount(&forged) {
        if again.disagrees.is_none() {
            assert_eq!(*again.payload, *closed.payload, "byte {at} changed the result and nobody noticed: {forged}");
        }
    }
    Ok(())
}

/// A vote of any method and visibility with some ballots, to its close.
fn play(u: &mut Unstructured<'_>) -> Result<Option<Box<Closed>>> {
    let method = u.choose(METHODS)?;
    let visibility = u.choose(&["live", "hidden", "secret"])?;
    let options = if method.name == "motion" { "" } else { r#","options":["a","b","c"]"# };
    let config = format!(r#"{{"template":"t","method":"{}","visibility":"{visibility}"{options}}}"#, method.name);
    let Ok(config) = VoteConfig::from_json(&config, &Default::default()) else { return Ok(None) };
    let players: Vec<PlayerId> = (1..=5).map(PlayerId::from_u128).collect();
    let (mut vote, mut said) = Vote::open(VoteOpen {
        config,
        vote_id: "v1".parse().unwrap(),
        match_id: None,
        seed: u.arbitrary()?,
        secret: u.arbitrary()?,
        present: players.clone(),
        eligible: players.clone(),
        spectators: Vec::new(),
        teams: Default::default(),
        weigh: Weigh::default(),
        called_by: None,
        args: None,
        now_ms: 0,
        unix_ms: 1_776_249_000_000,
    })
    .expect("this opens");
    for n in 0..u.int_in_range(0..=8)? {
        let player = *u.choose(&players)?;
        let (x, y) = (*u.choose(&["a", "b", "c"])?, *u.choose(&["a", "b", "c"])?);
        let ballot = match method.ballot {
            BallotKind::Choice if method.name == "motion" => format!("\"{}\"", u.choose(&["yes", "no"])?),
            BallotKind::Choice => format!("\"{x}\""),
            BallotKind::Scores => format!("{{\"{x}\":{}}}", u.int_in_range(0..=6)?),
            _ => format!("[\"{x}\",\"{y}\"]"),
        };
        let _ = vote.cast(player, None, serde_json::from_str(&ballot).unwrap(), n, n, &mut said);
    }
    vote.poll(60_000, &mut said);
    Ok(said.into_iter().find_map(|effect| match effect {
        VoteEffect::Closed(closed) => Some(closed),
        _ => None,
    }))
}
