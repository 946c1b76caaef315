//! An LRU cache with a byte budget.

use std::collections::HashMap;
use std::hash::Hash;

struct Slot<V> {
    value: V,
    bytes: usize,
    last_use: u64,
}

/// Keeps the most recently used entries within `budget` bytes.
pub struct ByteCache<K, V> {
    slots: HashMap<K, Slot<V>>,
    budget: usize,
    used: usize,
    clock: u64,
}

impl<K: Eq + Hash + Clone, V> ByteCache<K, V> {
    pub fn new(budget_bytes: usize) -> Self {
        Self { slots: HashMap::new(), budget: budget_bytes, used: 0, clock: 0 }
    }

    /// Returns the value and marks it as used.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let slot = self.slots.get_mut(key)?;
        slot.last_use = self.clock;
        Some(&slot.value)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// Inserts a value and evicts the least recently used ones until the budget is met. The newest always stays, even if it alone is
    /// larger.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.clock += 1;
        self.remove(&key);
        self.used += bytes;
        self.slots.insert(key, Slot { value, bytes, last_use: self.clock });
        while self.budget < self.used && self.slots.len() > 1 {
            let Some(oldest) = self.slots.iter().min_by_key(|(_, slot)| slot.last_use).map(|(key, _)| key.clone())
            else {
                return;
            };
            self.remove(&oldest);
        }
    }

    pub fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.used -= slot.bytes;
        }
    }

    pub fn used_bytes(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let mut cache = ByteCache::new(100);
        for key in ["a", "b", "c"] {
            cache.insert(key, (), 33);
        }
        assert!(cache.get(&"a").is_some());
        cache.insert("d", (), 33);
        assert!(cache.contains(&"a") && !cache.contains(&"b") && cache.contains(&"c"));
        assert_eq!(cache.used_bytes(), 99);
    }

    #[test]
    fn replacing_does_not_count_twice_and_a_giant_stays_alone() {
        let mut cache = ByteCache::new(100);
        cache.insert("a", 1, 60);
        cache.insert("a", 2, 60);
        assert_eq!((cache.used_bytes(), cache.get(&"a")), (60, Some(&2)));
        cache.insert("giant", 3, 1000);
        assert!(cache.contains(&"giant") && !cache.contains(&"a"));
        assert_eq!(cache.used_bytes(), 1000);
    }
}
