//! Splits classes of things until those of one class refer to things of one
//! class: the coarsest such partition.

/// Lists of numbers, one after the other.
#[derive(Debug, Default)]
pub struct Lists {
    /// All of them.
    pub items: Vec<u32>,
    ends: Vec<u32>,
}

impl Lists {
    /// Ends a list after the last item.
    pub fn end(&mut self) {
        self.ends.push(self.items.len() as u32);
    }

    /// The list at `position`.
    fn get(&self, position: u32) -> &[u32] {
        let end = self.ends[position as usize] as usize;
        let start = match position {
            0 => 0,
            _ => self.ends[position as usize - 1] as usize,
        };
        &self.items[start..end]
    }

    /// For each number below that of the lists, which lists have it.
    fn inverted(&self) -> Lists {
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(self.items.len());
        for list in 0..self.ends.len() as u32 {
            pairs.extend(self.get(list).iter().map(|&item| (item, list)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut inverted = Lists::default();
        let mut pairs = pairs.into_iter().peekable();
        for item in 0..self.ends.len() as u32 {
            while let Some((_, list)) = pairs.next_if(|pair| pair.0 == item) {
                inverted.items.push(list);
            }
            inverted.end();
        }
        inverted
    }
}

/// Things by number, in classes.
#[derive(Debug)]
pub struct Partition {
    /// The class of each.
    classes: Vec<u32>,
    /// How many members each class has.
    sizes: Vec<u32>,
    /// What each refers to, in order; those of one class to as many.
    references: Lists,
    /// What refers to each.
    users: Lists,
}

impl Partition {
    /// Members of one class that differ in no other way than in what they refer to.
    pub fn new(classes: Vec<u32>, references: Lists) -> Self {
        let count = classes.iter().max().map_or(0, |&last| last as usize + 1);
        let mut sizes = vec![0; count];
        for &class in &classes {
            sizes[class as usize] += 1;
        }
        Partition {
            classes,
            sizes,
            users: references.inverted(),
            references,
        }
    }

    /// The class of each once nothing is left to split.
    ///
    /// A part of a class that refers to something else gets a number of its own,
    /// and what refers to that is looked at again. The largest part keeps the
    /// number, so that nothing gets more than log2(n) new ones.
    pub fn refine(mut self) -> Vec<u32> {
        // What refers to nothing is split as it is.
        let refers = |&member: &u32| !self.references.get(member).is_empty();
        let all = 0..self.classes.len() as u32;
        let mut dirty: Vec<u32> = all.filter(refers).collect();
        while !dirty.is_empty() {
            dirty.sort_unstable_by(|&a, &b| {
                let order = self.class(a).cmp(&self.class(b));
                order.then_with(|| self.used(a).cmp(self.used(b)))
            });
            let mut moved = Vec::new();
            for of_class in dirty.chunk_by(|&a, &b| self.class(a) == self.class(b)) {
                let parts: Vec<&[u32]> = of_class
                    .chunk_by(|&a, &b| self.used(a).eq(self.used(b)))
                    .collect();
                // Those that are not looked at refer to what they did before.
                let is_whole =
                    self.sizes[self.class(of_class[0]) as usize] as usize == of_class.len();
                let largest = parts.iter().enumerate().max_by_key(|(_, part)| part.len());
                let keeps = largest.map(|(at, _)| at).filter(|_| is_whole);
                let others = parts
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| Some(*at) != keeps);
                moved.extend(others.map(|(_, part)| part.to_vec()));
            }
            dirty.clear();
            for part in &moved {
                let old = self.class(part[0]) as usize;
                self.sizes[old] -= part.len() as u32;
                let new = self.sizes.len() as u32;
                self.sizes.push(part.len() as u32);
                for &member in part {
                    self.classes[member as usize] = new;
                    dirty.extend(self.users.get(member));
                }
            }
            dirty.sort_unstable();
            dirty.dedup();
        }
        self.classes
    }

    fn class(&self, member: u32) -> u32 {
        self.classes[member as usize]
    }

    /// The classes of what one refers to.
    fn used(&self, member: u32) -> impl Iterator<Item = u32> {
        let references = self.references.get(member).iter();
        references.map(|&used| self.class(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists<L: AsRef<[u32]>>(all: &[L]) -> Lists {
        let mut lists = Lists::default();
        for list in all {
            lists.items.extend(list.as_ref());
            lists.end();
        }
        lists
    }

    /// Which functions are together, by the first of each class.
    fn refined(classes: &[u32], callees: &[&[u32]]) -> Vec<usize> {
        let classes = Partition::new(classes.to_vec(), lists(callees)).refine();
        let first = |class| classes.iter().position(|it| it == class).unwrap();
        classes.iter().map(first).collect()
    }

    #[test]
    fn twins_that_call_twins_stay_together() {
        assert_eq!(
            refined(&[0, 0, 1, 1], &[&[2], &[3], &[], &[]]),
            [0, 0, 2, 2]
        );
        assert_eq!(
            refined(&[0, 0, 1, 2], &[&[2], &[3], &[], &[]]),
            [0, 1, 2, 3]
        );
    }

    #[test]
    fn circles_stay_together_unless_something_tells_them_apart() {
        // Two pairs that call each other, then themselves crosswise.
        assert_eq!(
            refined(&[0, 0, 1, 1], &[&[2], &[3], &[0], &[1]]),
            [0, 0, 2, 2]
        );
        assert_eq!(
            refined(&[0, 0, 1, 1], &[&[2], &[3], &[1], &[0]]),
            [0, 0, 2, 2]
        );
        // A third function, called by one of them.
        let calls: [&[u32]; 6] = [&[2, 4], &[3, 5], &[0], &[1], &[], &[]];
        assert_eq!(refined(&[0, 0, 1, 1, 2, 3], &calls), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_chain_is_split_from_its_end() {
        let count = 2_000_u32;
        let mut callees: Vec<Vec<u32>> = (1..count).map(|next| vec![next]).collect();
        callees.push(vec![0]);
        let mut classes = vec![0; count as usize];
        classes[count as usize - 1] = 1;
        let mut refined = Partition::new(classes, lists(&callees)).refine();
        refined.sort_unstable();
        refined.dedup();
        assert_eq!(refined.len(), count as usize);
    }
}
