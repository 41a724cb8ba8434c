//! Modelled files: what is synced survives, of the rest any prefix, torn where the cut falls.

use super::rng::Rng;

#[derive(Debug, Clone)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

/// One file.
#[derive(Debug, Clone, Default)]
pub struct File {
    synced: Vec<u8>,
    pending: Vec<Write>,
    end: usize,
    is_lying: bool,
}

impl File {
    /// Writes at the end. It may be lost until it is synced.
    pub fn append(&mut self, bytes: Vec<u8>) {
        self.write(self.end, bytes);
    }

    /// Writes in place.
    pub fn write(&mut self, offset: usize, bytes: Vec<u8>) {
        self.end = self.end.max(offset + bytes.len());
        self.pending.push(Write { offset, bytes });
    }

    /// From now on says "synced" and keeps nothing.
    pub const fn lie(&mut self) {
        self.is_lying = true;
    }

    /// Makes everything written so far survive, or says so.
    pub fn sync(&mut self) {
        if !self.is_lying {
            for write in std::mem::take(&mut self.pending) {
                put(&mut self.synced, write.offset, &write.bytes);
            }
        }
    }

    /// The power goes: some of what was not synced is there, cut at any byte, the rest is not.
    pub fn cut(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let whole = rng.index(pending.len() + 1);
        let torn = pending.get(whole);
        for write in pending.iter().take(whole) {
            put(&mut self.synced, write.offset, &write.bytes);
        }
        if let Some(write) = torn {
            let kept = rng.index(write.bytes.len() + 1);
            let bytes = write.bytes.get(..kept).unwrap_or_default();
            put(&mut self.synced, write.offset, bytes);
        }
        self.end = self.synced.len();
        self.is_lying = false;
    }

    /// The process ends, the system goes on: what was written is there.
    pub fn keep_all(&mut self) {
        for write in std::mem::take(&mut self.pending) {
            put(&mut self.synced, write.offset, &write.bytes);
        }
        self.end = self.synced.len();
    }

    /// Forgets everything beyond this length: recovery found a torn tail.
    pub fn truncate(&mut self, length: usize) {
        self.pending.clear();
        self.synced.truncate(length);
        self.end = self.synced.len();
    }

    /// Changes one bit of what survives.
    pub fn flip(&mut self, rng: &mut Rng) {
        let index = rng.index(self.synced.len());
        let bit = 1_u8 << rng.below(8);
        if let Some(byte) = self.synced.get_mut(index) {
            *byte ^= bit;
        }
    }

    /// What survives.
    #[must_use]
    pub fn synced(&self) -> &[u8] {
        &self.synced
    }

    /// How long it is, with what may be lost.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end
    }

    /// Whether nothing was ever written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == 0
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    if let Some(place) = file.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut file = File::default();
            file.append(vec![1; 10]);
            file.sync();
            file.append(vec![2; 5]);
            file.append(vec![3; 5]);
            file.cut(&mut Rng::new(seed));
            let whole = [[1; 10].as_slice(), &[2; 5], &[3; 5]].concat();
            assert!(file.len() >= 10 && whole.starts_with(file.synced()));
            lengths.insert(file.len());
        }
        assert_eq!(lengths.len(), 11, "every cut happens: {lengths:?}");
    }

    #[test]
    fn a_lying_file_loses_what_it_acknowledged() {
        let mut lost = 0;
        for seed in 0..200 {
            let mut file = File::default();
            file.append((0..50).collect());
            file.sync();
            file.lie();
            file.append((50..100).collect());
            file.sync();
            file.cut(&mut Rng::new(seed));
            let whole: Vec<u8> = (0..100).collect();
            assert!(file.len() >= 50 && whole.starts_with(file.synced()));
            lost += usize::from(file.len() < whole.len());
        }
        assert!(
            (50..200).contains(&lost),
            "{lost} of 200 cuts lose something"
        );
    }
}
