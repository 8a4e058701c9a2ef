//! What a stranger needs to be told: a sentence per shape, and one per latency.

/// What a shape does and why one would look at it.
pub fn of_shape(shape: &str) -> &'static str {
    match shape {
        "echo" => {
            "Every connection sends a message, waits for the answer, and sends the next: what one round trip costs the \
             server. With several in flight, messages share reads and writes, and each costs less."
        }
        "paced" => {
            "Messages leave at fixed moments, whether or not the server kept up, and their latency counts from the moment \
             they were due: a server that pauses cannot hide whom it kept waiting."
        }
        "ticks" => {
            "Matches play, and every client follows its match over a real WebSocket. A good server emits each tick when \
             it is due, delivers it at once, and shows an input in the very next tick."
        }
        "votes" => {
            "Players in many matches cast ballots and change their minds all the time. A cast is answered at once; the \
             first after a quiet moment is tallied at once too, and a burst shares one tally per interval."
        }
        "queue" => {
            "As many players as fill a match ask for one at the same moment, over and over. Nobody waits for an opponent, \
             so what is left is the time that the server takes to pair and seat them."
        }
        "idle" => {
            "Connections come and do nothing. What they cost is memory: the server's own, exact, and what the kernel holds \
             for their sockets, which no process shows."
        }
        "churn" => {
            "Visitors sign in, connect, queue, are seated, leave, and close, over and over: a server is only as steady as \
             what comes and goes."
        }
        "ladder" => {
            "The load is raised step by step until a latency breaks its limit. The last step that held is the knee: the \
             most that this machine's server carries in order."
        }
        "soak" => {
            "Matches tick and vote while visitors come and go, for as long as one has patience. Memory must stay flat once \
             the server has met everybody, and nothing that may not be replaced may be lost."
        }
        _ => "",
    }
}

/// What a figure tells that its name does not; nothing where the name is enough.
pub fn of_figure(name: &str) -> &'static str {
    match name {
        "states asked for" => "What all players together should be shown: players times ticks.",
        "states replaced by newer ones" => {
            "Ticks that a client was not shown because the next was there first: the only kind of frame that may be dropped."
        }
        "mean period error" => "How far the mean time between two ticks is off the one asked for.",
        "server CPU" => "From the server process's own account: 100 % is one core that does nothing else.",
        "load CPU" => "The same of the load generator: near 100 %, it and not the server decides the figures.",
        "server's own lateness, p50" => {
            "How late ticks began by the server's own clock, since it started: beside what its clients saw."
        }
        "knee" => "What came per second on the last step that held.",
        "knee, per core of server CPU" => "The same for each core's worth of CPU that the server used for it.",
        "socket buffers per connection, both ends" | "kernel objects per connection, both ends" => {
            "Held by the kernel for both ends of each connection, and by whatever else ran: in no process's memory."
        }
        "memory kept per visit" => {
            "What the server held more at the end, shared out: accounts, tokens and records are in it."
        }
        "memory gained, first quarter to last" => "Mean of the last quarter of the time less that of the first.",
        "casts due between two votes, not sent" => "There was no vote open to cast in.",
        "players still busy when due" => "They had not left their last match yet, so their group was left out.",
        _ => "",
    }
}

/// What a latency is from and to.
pub fn of_latency(name: &str) -> &'static str {
    match name {
        "round trip" => "From sending a message to having its answer.",
        "round trip, from when it was due" => "From the moment a message was meant to leave to having its answer.",
        "off the schedule" => {
            "How far each tick arrived from where the match's own rhythm puts it, early or late: what a player feels as \
             stutter."
        }
        "emitted to received" => {
            "From the game's own time stamp of a state to a client having it: how old what one sees is."
        }
        "input to state, from when it was due" => {
            "From the moment a player's input was meant to leave to the first state that shows it. Half a tick of it is \
             waiting for the next tick, which no server can avoid."
        }
        "how late the load itself was" => {
            "The load generator's own lateness: it is part of every latency that counts from a due moment, so a large one \
             here excuses the server there."
        }
        "cast to reply, from when it was due" => "From the moment a ballot was meant to leave to its receipt.",
        "cast to own tally, first after quiet" => {
            "From a ballot that nobody's preceded by a moment to the tally that counts it, which is told at once."
        }
        "cast to own tally, within an interval" => {
            "From a ballot that followed others closely to the tally that counts it: bursts share one tally per interval."
        }
        "deadline to result" => {
            "From the announced deadline of a vote to its result at a client, 20 ms of grace for ballots under way included."
        }
        "add to queued" => "From asking for a match to the ticket.",
        "add to matched, from when it was due" => "From the moment a player was meant to ask for a match to the seat.",
        "connect" => "From opening a connection to being welcome on it.",
        "sign in over HTTP" => "From asking for an access token to having it.",
        "connect and authenticate" => "From opening the WebSocket to the session.",
        "add to matched" => "From asking for a match to the seat.",
        "leave to left" => "From leaving a match to having left.",
        "whole visit" => "From signing in to having left the match.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shape that is added and not explained would be a page without a first sentence.
    #[test]
    fn every_shape_is_explained() {
        #[derive(clap::Parser)]
        struct All {
            #[command(subcommand)]
            _shape: crate::bench::Shape,
        }
        let all = <All as clap::CommandFactory>::command();
        assert!(all.get_subcommands().count() > 7);
        for shape in all.get_subcommands() {
            assert_ne!(of_shape(shape.get_name()), "", "{}", shape.get_name());
        }
    }
}
