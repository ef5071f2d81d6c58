//! What was used lately, up to a bound.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps values until those that came or were asked for later weigh half of
/// the limit; together never more than the limit and one value.
#[derive(Debug)]
pub struct Recent<K, V> {
    limit: u64,
    weight: u64,
    young: HashMap<K, (u64, V)>,
    old: HashMap<K, (u64, V)>,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// Keeps about `limit`, in whatever unit weights are given.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            weight: 0,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// A value that is still there; it stays longer now.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some((_, value)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (weight, value)) = self.old.remove_entry(key)?;
        self.insert(key, weight, value.clone());
        Some(value)
    }

    /// Keeps a value.
    pub fn insert(&mut self, key: K, weight: u64, value: V) {
        let before = self.young.insert(key, (weight, value));
        let before = before.map_or(0, |(weight, _)| weight);
        self.weight = self.weight.saturating_sub(before).saturating_add(weight);
        if self.weight > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(20);
        for key in 0..1000 {
            recent.insert(key, 1, key);
            assert_eq!(recent.get(&0), Some(0));
            let there = recent.young.len() + recent.old.len();
            assert!(there <= 21, "{there} values at {key}");
        }
        assert_eq!(recent.get(&1), None);
        assert_eq!(recent.get(&999), Some(999));
    }
}
