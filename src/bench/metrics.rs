//! What a server says of itself at `/metrics`: beside what its clients saw, never instead of it.

use crate::client::{Base, request};

/// A server's own numbers at one moment; none where it publishes none.
pub struct Metrics(String);

impl Metrics {
    /// Asks for them.
    pub async fn of(base: &Base) -> Self {
        let text = request(base, "GET", "/metrics", &[], None).await.ok().filter(|answer| answer.status == 200);
        Self(text.map(|answer| answer.body).unwrap_or_default())
    }

    /// The sample of this name, with its labels as the server writes them.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_its_whole_name() {
        let metrics = Metrics("# HELP a_total x\na_total_more 9\na_total{mode=\"bench\"} 7\na_total 2.5\n".into());
        assert_eq!(metrics.get("a_total"), Some(2.5));
        assert_eq!(metrics.get("a_total{mode=\"bench\"}"), Some(7.0));
        assert_eq!(metrics.get("b"), None);
    }
}
