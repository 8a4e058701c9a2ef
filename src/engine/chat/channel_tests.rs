//! What happens in a channel, told as small scenes.

use super::*;
use crate::engine::rate::Rate;
use crate::ids::{MessageId, PlayerId, SessionId};

const ANN: Sender = Sender::Player(PlayerId::from_u128(1), SessionId::from_u128(11));
const BOB: Sender = Sender::Player(PlayerId::from_u128(2), SessionId::from_u128(12));

fn lobby(rules: ChannelRules) -> Channel<&'static str> {
    let mut channel = Channel::new(Place::Open("lobby".into()), rules, 0);
    for (sender, name) in [(ANN, "ann"), (BOB, "bob")] {
        let Sender::Player(player, session) = sender else { panic!("a player") };
        assert!(channel.join(session, player, name));
    }
    channel
}

fn line(number: u128, sender: Sender, content: &Content) -> Line {
    let message_id = MessageId::from_u128(number);
    Line { message_id, sender: sender.player(), content: content.shared(), sent_unix_ms: 5, edited: false }
}

/// Says something and stores it at once.
fn say(
    channel: &mut Channel<&'static str>,
    number: u128,
    sender: Sender,
    text: &str,
    now_ms: u64,
) -> Result<(), SayRefused> {
    let content = channel.admit(sender, text, &(), now_ms)?;
    channel.said(line(number, sender, &content));
    Ok(())
}

fn texts(channel: &Channel<&'static str>) -> Vec<String> {
    channel.history().map(|line| line.content.to_string()).collect()
}

#[test]
fn members_speak_and_the_history_is_bounded() {
    let mut channel = lobby(ChannelRules { history_max: 3, ..ChannelRules::default() });
    for number in 1..=5 {
        assert_eq!(say(&mut channel, number, ANN, &format!("line {number}"), 0), Ok(()));
    }
    assert_eq!(texts(&channel), ["line 3", "line 4", "line 5"]);
    let stranger = Sender::Player(PlayerId::from_u128(3), SessionId::from_u128(13));
    assert_eq!(say(&mut channel, 6, stranger, "hi", 0), Err(SayRefused::NotMember));
    assert_eq!(say(&mut channel, 6, BOB, " ", 0), Err(SayRefused::Content(ContentRefused::Empty)));
    assert_eq!(say(&mut channel, 6, Sender::Server, "welcome", 0), Ok(()), "the server needs no seat");
    assert!(channel.leave(SessionId::from_u128(11)));
    assert!(!channel.leave(SessionId::from_u128(11)));
    assert_eq!(say(&mut channel, 7, ANN, "still here?", 0), Err(SayRefused::NotMember));
}

#[test]
fn slow_mode_is_each_players_own() {
    let mut channel = lobby(ChannelRules { slow_mode_ms: 10_000, ..ChannelRules::default() });
    assert_eq!(say(&mut channel, 1, ANN, "one", 1_000), Ok(()));
    assert_eq!(say(&mut channel, 2, ANN, "two", 5_000), Err(SayRefused::SlowMode { retry_ms: 6_000 }));
    assert_eq!(say(&mut channel, 2, BOB, "me too", 5_000), Ok(()));
    assert_eq!(say(&mut channel, 3, ANN, "two", 11_000), Ok(()), "a refusal does not start the wait anew");
    assert_eq!(say(&mut channel, 4, ANN, "", 30_000), Err(SayRefused::Content(ContentRefused::Empty)));
    assert_eq!(say(&mut channel, 4, ANN, "three", 30_000), Ok(()), "nor does an unspeakable text");
    channel.withdraw(ANN);
    assert_eq!(say(&mut channel, 5, ANN, "three", 30_000), Ok(()), "what could not be stored does not count");
}

#[test]
fn a_channel_carries_only_so_much() {
    let rate = Rate::per_second(2, 2);
    let mut channel = lobby(ChannelRules { rate, ..ChannelRules::default() });
    assert_eq!(say(&mut channel, 1, ANN, "a", 0), Ok(()));
    assert_eq!(say(&mut channel, 2, BOB, "b", 0), Ok(()));
    assert_eq!(say(&mut channel, 3, BOB, "c", 0), Err(SayRefused::Busy { retry_ms: 500 }));
    assert_eq!(say(&mut channel, 3, Sender::Server, "notice", 0), Ok(()));
    assert_eq!(say(&mut channel, 4, BOB, "c", 500), Ok(()));
}

#[test]
fn one_player_takes_only_their_share_of_a_channel() {
    let (rate, rate_each) = (Rate::per_second(4, 6), Rate::per_second(1, 2));
    let mut channel = lobby(ChannelRules { rate, rate_each, ..ChannelRules::default() });
    let (message, ann) = (MessageId::from_u128(1), Editor::Author(PlayerId::from_u128(1), SessionId::from_u128(11)));
    let too_fast = SayRefused::TooFast { retry_ms: 1_000 };
    assert_eq!(say(&mut channel, 1, ANN, "helo", 0), Ok(()));
    assert!(channel.admit_edit(ann, message, "hello", &(), 0).is_ok(), "her second, and her last for now");
    for _ in 0..100 {
        assert_eq!(channel.admit_edit(ann, message, "HELLO", &(), 0), Err(too_fast.into()));
        assert_eq!(say(&mut channel, 2, ANN, "HELLO", 0), Err(too_fast));
    }
    assert_eq!([2, 3].map(|n| say(&mut channel, n, BOB, "hi", 0)), [Ok(()); 2], "she took nothing of his");
    channel.withdraw(BOB);
    assert_eq!(say(&mut channel, 3, BOB, "hi", 0), Ok(()), "what could not be stored does not count");
    assert_eq!(say(&mut channel, 4, BOB, "hi", 0), Err(too_fast));
    assert_eq!(channel.admit_edit(Editor::Moderator, message, "...", &(), 0).map(drop), Ok(()));
    // Leaving and coming back is no way out.
    let pace = channel.pace(0).expect("somebody has to wait");
    let mut again = lobby(channel.rules());
    again.go_on_at(pace);
    assert_eq!(say(&mut again, 5, ANN, "me again", 500), Err(SayRefused::TooFast { retry_ms: 500 }));
    assert_eq!(say(&mut again, 5, ANN, "me again", 1_000), Ok(()));
    assert!(again.pace(2_999).is_some() && again.pace(3_000).is_none(), "a whole share need not be remembered");
}

#[test]
fn what_is_known_of_players_who_wrote_is_forgotten() {
    let mut channel = lobby(ChannelRules { rate: Rate::OFF, ..ChannelRules::default() });
    for number in 1..=10_000 {
        let sender = Sender::Player(PlayerId::from_u128(number), SessionId::from_u128(number));
        channel.join(SessionId::from_u128(number), PlayerId::from_u128(number), "somebody");
        assert_eq!(say(&mut channel, number, sender, "hello", 10 * number as u64), Ok(()));
        channel.leave(SessionId::from_u128(number));
        assert!(channel.standings() <= 64, "{}", channel.standings());
    }
}

#[test]
fn a_mute_ends_by_itself() {
    let mut channel = lobby(ChannelRules::default());
    let ann = PlayerId::from_u128(1);
    channel.mute(ann, 9_000);
    assert_eq!(say(&mut channel, 1, ANN, "hey", 8_999), Err(SayRefused::Muted { retry_ms: 1 }));
    assert_eq!(channel.typing(ann, SessionId::from_u128(11), 8_999), Err(SayRefused::Muted { retry_ms: 1 }));
    assert_eq!(say(&mut channel, 1, ANN, "hey", 9_000), Ok(()));
    channel.mute(ann, 20_000);
    channel.unmute(ann);
    assert_eq!(say(&mut channel, 2, ANN, "free", 9_001), Ok(()));
    channel.mute(ann, 20_000);
    assert_eq!(channel.expel(ann), [SessionId::from_u128(11)]);
    channel.leave(SessionId::from_u128(12));
    assert!(channel.pace(19_999).is_some(), "a mute outlives an empty channel");
    assert!(channel.pace(20_000).is_none());
}

#[test]
fn authors_and_moderators_change_what_was_said() {
    let mut channel = lobby(ChannelRules::default());
    assert_eq!(say(&mut channel, 1, ANN, "helo", 0), Ok(()));
    let message = MessageId::from_u128(1);
    let as_author = |sender: Sender| match sender {
        Sender::Player(player, session) => Editor::Author(player, session),
        Sender::Writer(_) | Sender::Server => Editor::Moderator,
    };
    let edit = |channel: &mut Channel<_>, by, text| channel.admit_edit(by, message, text, &(), 0);
    assert_eq!(edit(&mut channel, as_author(BOB), "ha"), Err(ChangeRefused::NotAuthor));
    assert_eq!(edit(&mut channel, as_author(ANN), ""), Err(SayRefused::Content(ContentRefused::Empty).into()));
    let content = edit(&mut channel, as_author(ANN), "hello").expect("the author may");
    channel.edited(message, &content);
    assert_eq!(texts(&channel), ["hello"]);
    assert!(channel.history().all(|line| line.edited));
    assert_eq!(channel.admit_deletion(as_author(BOB), message, 0), Err(ChangeRefused::NotAuthor));
    assert_eq!(channel.admit_deletion(Editor::Moderator, message, 0), Ok(()));
    channel.deleted(message);
    assert_eq!(texts(&channel), [""; 0]);
    assert_eq!(channel.admit_deletion(as_author(BOB), message, 0), Ok(()), "unknown here: the store decides");
    channel.mute(PlayerId::from_u128(1), 100);
    assert_eq!(edit(&mut channel, as_author(ANN), "x"), Err(SayRefused::Muted { retry_ms: 100 }.into()));
}

#[test]
fn edits_count_for_the_channels_rate_and_not_for_slow_mode() {
    let rules = ChannelRules { slow_mode_ms: 60_000, rate: Rate::per_second(1, 3), ..ChannelRules::default() };
    let mut channel = lobby(rules);
    assert_eq!(say(&mut channel, 1, ANN, "helo", 0), Ok(()));
    let (message, ann) = (MessageId::from_u128(1), Editor::Author(PlayerId::from_u128(1), SessionId::from_u128(11)));
    let mut edit = |by, at_ms| channel.admit_edit(by, message, "hello", &(), at_ms).map(drop);
    assert_eq!([edit(ann, 0), edit(ann, 0)], [Ok(()), Ok(())], "with the message, that makes three");
    assert_eq!(edit(ann, 0), Err(SayRefused::Busy { retry_ms: 1_000 }.into()));
    assert_eq!(edit(Editor::Moderator, 0), Ok(()), "an operator is not kept waiting");
    assert_eq!(edit(ann, 1_000), Ok(()));
    assert_eq!(say(&mut channel, 2, ANN, "more", 2_000), Err(SayRefused::SlowMode { retry_ms: 58_000 }));
}

#[test]
fn typing_is_told_now_and_then() {
    let mut channel = lobby(ChannelRules::default());
    let (ann, session) = (PlayerId::from_u128(1), SessionId::from_u128(11));
    let told: Vec<_> = [0, 1, 1_999, 2_000].map(|at| channel.typing(ann, session, at)).into();
    assert_eq!(told, [Ok(true), Ok(false), Ok(false), Ok(true)]);
    assert_eq!(channel.typing(ann, SessionId::from_u128(99), 0), Err(SayRefused::NotMember));
}

#[test]
fn stored_history_goes_ahead_of_what_was_said_since() {
    let mut channel = lobby(ChannelRules { history_max: 4, ..ChannelRules::default() });
    let content = |text| Content::new(text).expect("fine");
    channel.said(line(3, ANN, &content("three")));
    channel.said(line(4, ANN, &content("four")));
    channel.recall([
        line(0, BOB, &content("zero")),
        line(1, BOB, &content("one")),
        line(2, BOB, &content("two")),
        line(3, ANN, &content("three")),
    ]);
    assert_eq!(texts(&channel), ["one", "two", "three", "four"]);
}

#[test]
fn everyone_is_reached_in_one_order() {
    let mut channel = lobby(ChannelRules::default());
    let again = channel.join(SessionId::from_u128(12), PlayerId::from_u128(2), "bob's new socket");
    assert!(!again, "a session joins once");
    let handles: Vec<_> = channel.members().map(|(_, _, handle)| *handle).collect();
    assert_eq!(handles, ["ann", "bob's new socket"]);
}

#[test]
fn either_of_two_writes_to_the_other_without_having_joined_and_waits_as_if_they_had() {
    let [ann, bob, eve] = [1, 2, 3].map(PlayerId::from_u128);
    let rules = ChannelRules { slow_mode_ms: 10_000, ..ChannelRules::default() };
    let mut channel = Channel::new(Place::dm(ann, bob), rules, 0);
    assert!(channel.join(SessionId::from_u128(11), ann, "ann"));
    assert_eq!(say(&mut channel, 1, ANN, "one", 1_000), Ok(()));
    assert_eq!(say(&mut channel, 2, Sender::Writer(bob), "two", 1_000), Ok(()));
    let slow = Err(SayRefused::SlowMode { retry_ms: 9_000 });
    assert_eq!(say(&mut channel, 3, Sender::Writer(ann), "three", 2_000), slow, "one slow mode for both ways in");
    assert_eq!(say(&mut channel, 3, Sender::Writer(eve), "me too", 2_000), Err(SayRefused::NotMember));
    channel.mute(bob, 90_000);
    let muted = Err(SayRefused::Muted { retry_ms: 10_000 });
    assert_eq!(say(&mut channel, 3, Sender::Writer(bob), "three", 80_000), muted);
    assert_eq!(texts(&channel), ["one", "two"]);
    let mut lobby = lobby(ChannelRules::default());
    assert_eq!(say(&mut lobby, 3, Sender::Writer(ann), "psst", 0), Err(SayRefused::NotMember), "elsewhere one joins");
}
