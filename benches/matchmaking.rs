//! What one ticket costs: queued, looked at, matched or left waiting, in a pool that already holds many.
//!
//! Skills are uniform over a span wide enough that as many tickets come as leave in pairs or tens while about the
//! stated number waits, so every step does what a busy server does: most tickets wait, each group is found among
//! neighbours. `cargo bench --bench matchmaking`; the goal is 10^6 tickets/s at 1,000 waiting, 10^5 at 100,000.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tessera::engine::matchmaking::{Pool, Rules, Ticket, Traits};
use tessera::engine::modes::{Matchmaking, Players};
use tessera::ids::{PlayerId, TicketId};

/// A pool and an endless queue in front of it.
struct Queue {
    pool: Pool,
    rng: ChaCha8Rng,
    span: i64,
    next: u64,
}

impl Queue {
    /// A queue in balance: `points_per_ticket` is how much of the span each waiting ticket has to itself then.
    fn new(table: Matchmaking, seats: u32, waiting: usize, points_per_ticket: f64) -> Self {
        let rules = Rules::new(&table, Players { min: seats, max: seats }).expect("good rules");
        let span = (waiting as f64 * points_per_ticket * 1_000.0) as i64;
        let pool = Pool::new(rules, usize::MAX);
        let mut queue = Self { pool, rng: ChaCha8Rng::seed_from_u64(7), span, next: 0 };
        while queue.next < 20 * waiting as u64 {
            queue.ticket();
        }
        queue
    }

    /// One more player queues.
    fn ticket(&mut self) {
        self.next += 1;
        // As spread as real ids are, as cheap as a counter.
        let id = u128::from(self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(self.next);
        let traits = Traits { skill: self.rng.random_range(0..self.span), ..Traits::default() };
        let players = vec![PlayerId::from_u128(id)];
        let ticket = Ticket { ticket_id: TicketId::from_u128(id), players, traits, added_ms: 0 };
        self.pool.add(ticket, 0).expect("there is room");
        black_box(self.pool.poll(0));
    }
}

fn pairing(criterion: &mut Criterion) {
    let skill = || Matchmaking { strategy: "skill".into(), ..Matchmaking::default() };
    let modes = [
        ("1v1", Matchmaking { size: Some(2), ..skill() }, 2, 400.0),
        ("5v5", Matchmaking { teams: vec![5, 5], ..skill() }, 10, 27.0),
    ];
    let mut group = criterion.benchmark_group("tickets");
    group.throughput(Throughput::Elements(1));
    for (name, table, seats, points_per_ticket) in modes {
        for waiting in [1_000, 100_000] {
            let mut queue = Queue::new(table.clone(), seats, waiting, points_per_ticket);
            let around = waiting * 3 / 4..waiting * 4 / 3;
            assert!(around.contains(&queue.pool.len()), "{name}: {} wait, not about {waiting}", queue.pool.len());
            group.bench_function(format!("skill {name}, {waiting} waiting"), |bencher| bencher.iter(|| queue.ticket()));
        }
    }
    group.finish();
}

criterion_group!(benches, pairing);
criterion_main!(benches);
