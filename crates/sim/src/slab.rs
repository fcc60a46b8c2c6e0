//! Things in places that are used again, each under a name that is not.

/// A vector with holes. A name holds the place and how often the place has been used, so that an old name finds nothing.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

const fn split(name: u64) -> (usize, u32) {
    ((name & 0xFFFF_FFFF) as usize, (name >> 32) as u32)
}

impl<T> Slab<T> {
    pub(crate) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts something in and names it. Past 2^32 places the name finds nothing.
    pub(crate) fn insert(&mut self, thing: T) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let uses = match self.places.get_mut(place as usize) {
            Some(entry) => {
                entry.1 = Some(thing);
                entry.0
            }
            None => 0,
        };
        u64::from(uses) << 32 | u64::from(place)
    }

    pub(crate) fn get(&self, name: u64) -> Option<&T> {
        let (place, uses) = split(name);
        self.places.get(place).filter(|entry| entry.0 == uses)?.1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, name: u64) -> Option<&mut T> {
        let (place, uses) = split(name);
        self.places.get_mut(place).filter(|entry| entry.0 == uses)?.1.as_mut()
    }

    pub(crate) fn remove(&mut self, name: u64) -> Option<T> {
        let (place, uses) = split(name);
        let entry = self.places.get_mut(place).filter(|entry| entry.0 == uses)?;
        if entry.1.is_some() {
            entry.0 = entry.0.wrapping_add(1);
            self.free.push(place as u32);
        }
        entry.1.take()
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn an_old_name_finds_nothing() {
        let mut slab = Slab::default();
        let (one, two) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(one), Some('a'));
        let three = slab.insert('c');
        assert_eq!((slab.remove(one), slab.get(one), slab.len()), (None, None, 2));
        assert_eq!((slab.get(two).copied(), slab.get_mut(three).copied()), (Some('b'), Some('c')));
    }
}
