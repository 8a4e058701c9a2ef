//! An address that knows how much mail waits behind it. actix tells nobody how full a mailbox is, so every message is
//! wrapped with a token that goes when the actor takes the message up, or when its mailbox goes with all that is in it:
//! what waits is how many tokens there are. It costs a message one addition and one subtraction of a counter of its own
//! mailbox.
//!
//! Ticks, and what an actor tells itself when the store has answered, come past this: neither piles up by what players
//! do.

use std::sync::Arc;

use actix::dev::{MessageResponse, Request, ToEnvelope};
use actix::prelude::SendError;
use actix::{Actor, Addr, Context, Handler, Message};

use super::channels::ChannelActor;
use super::lobby::LobbyActor;
use super::matches::MatchActor;
use super::matchmaker::MatchmakerActor;
use super::presence::PresenceActor;
use super::votes::VoteActor;

/// The address of an actor of ours. There is one for all who look it up: each clone of an address would bring a mailbox
/// place of its own.
pub struct Mail<A: Actor> {
    addr: Addr<A>,
    /// Ours, and one of each message that waits.
    tokens: Arc<()>,
}

/// A message on its way.
pub struct Waiting<M> {
    message: M,
    token: Arc<()>,
}

impl<M: Message<Result = ()>> Message for Waiting<M> {
    type Result = ();
}

impl<A: Actor<Context = Context<A>>> Mail<A> {
    /// Counts what goes to this address from now on.
    pub fn new(addr: Addr<A>) -> Self {
        Self { addr, tokens: Arc::new(()) }
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        Arc::strong_count(&self.tokens) - 1
    }

    /// As [`Addr::connected`].
    pub fn connected(&self) -> bool {
        self.addr.connected()
    }

    /// As [`Addr::try_send`].
    ///
    /// # Errors
    /// When the mailbox is full or the actor is gone; the message comes back.
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<Waiting<M>>,
        M: Message<Result = ()> + Send + 'static,
    {
        self.addr.try_send(self.stamped(message)).map_err(|back| match back {
            SendError::Full(waiting) => SendError::Full(waiting.message),
            SendError::Closed(waiting) => SendError::Closed(waiting.message),
        })
    }

    /// As [`Addr::do_send`]: past the bound, and silent when nobody is there. Using it is a decision.
    pub fn do_send<M>(&self, message: M)
    where
        A: Handler<Waiting<M>>,
        M: Message<Result = ()> + Send + 'static,
    {
        self.addr.do_send(self.stamped(message));
    }

    /// As [`Addr::send`], for those outside who wait for an answer: operators and HTTP. Not counted.
    pub fn send<M>(&self, message: M) -> Request<A, M>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.addr.send(message)
    }

    fn stamped<M>(&self, message: M) -> Waiting<M> {
        Waiting { message, token: self.tokens.clone() }
    }
}

/// Whose mail is counted: a line each.
macro_rules! takes_mail {
    ($($actor:ty),+ $(,)?) => {$(
        impl<M: Message<Result = ()>> Handler<Waiting<M>> for $actor
        where
            $actor: Handler<M>,
        {
            type Result = ();

            fn handle(&mut self, Waiting { message, token }: Waiting<M>, ctx: &mut Self::Context) {
                drop(token);
                Handler::handle(self, message, ctx).handle(ctx, None);
            }
        }
    )+};
}

takes_mail! {
    ChannelActor,
    LobbyActor,
    MatchActor,
    MatchmakerActor,
    PresenceActor,
    VoteActor,
}

/// What waits in the mailboxes of actors of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// In all of them.
    pub all: usize,
    /// In the fullest.
    pub fullest: usize,
}

impl FromIterator<usize> for Depth {
    fn from_iter<I: IntoIterator<Item = usize>>(each: I) -> Self {
        each.into_iter().fold(Self::default(), |depth, waiting| Self {
            all: depth.all + waiting,
            fullest: depth.fullest.max(waiting),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes numbers up, or nothing ever again.
    struct Reader(u32);

    impl Actor for Reader {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(2);
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Add(u32);

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Sum;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Die;

    impl Handler<Add> for Reader {
        type Result = ();

        fn handle(&mut self, Add(n): Add, _: &mut Self::Context) {
            self.0 += n;
        }
    }

    impl Handler<Sum> for Reader {
        type Result = u32;

        fn handle(&mut self, _: Sum, _: &mut Self::Context) -> u32 {
            self.0
        }
    }

    impl Handler<Die> for Reader {
        type Result = ();

        fn handle(&mut self, _: Die, ctx: &mut Self::Context) {
            actix::ActorContext::terminate(ctx);
        }
    }

    takes_mail!(Reader);

    #[actix_rt::test]
    async fn what_waits_is_counted_until_it_is_taken_up_or_lost() {
        let mail = Mail::new(Reader(0).start());
        assert_eq!(mail.send(Sum).await.unwrap(), 0, "it has started");
        // Nobody reads before this test waits for something.
        let mut told = 0;
        let back = loop {
            match mail.try_send(Add(1)) {
                Ok(()) => told += 1,
                Err(back) => break back,
            }
            assert!(told < 100, "a mailbox for two is full some time");
        };
        assert!(matches!(back, SendError::Full(Add(1))), "the message comes back");
        assert_eq!(mail.waiting(), told, "and is not counted");
        mail.do_send(Add(1));
        assert_eq!(mail.waiting(), told + 1, "past the bound");
        assert_eq!(mail.send(Sum).await.unwrap() as usize, told + 1);
        assert_eq!(mail.waiting(), 0);

        mail.do_send(Die);
        (1..=3).for_each(|n| mail.do_send(Add(n)));
        assert_eq!(mail.waiting(), 4);
        assert!(mail.send(Sum).await.is_err(), "it is gone, and its mail with it");
        assert_eq!(mail.waiting(), 0);
    }

    #[test]
    fn a_depth_names_the_fullest() {
        assert_eq!(Depth::from_iter([2, 5, 0]), Depth { all: 7, fullest: 5 });
        assert_eq!(Depth::from_iter([]), Depth::default());
    }
}
