//! Why a function is in a module: the shortest chain of calls that leads to it.

use std::collections::VecDeque;

use serde::Serialize;

/// Why a function is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is exported by this name, or, in an object, global.
    Export(String),
    /// It runs at instantiation.
    Start,
    /// The function of this index calls it, or takes a reference to it. Where
    /// several do, the one that is nearest to a root.
    CalledBy(u32),
    /// Nothing that begins outside calls it, but a table or a global has it, so
    /// it may be called by its address: the text says which.
    Address(String),
    /// Nothing in the module leads to it.
    Unreached,
}

/// Who calls whom, and where calls begin. Functions go by index, imports first.
#[derive(Debug, Default)]
pub struct Calls {
    /// Callees by caller.
    called: Vec<Vec<u32>>,
    /// Exports and the start function.
    roots: Vec<(u32, Why)>,
    /// Functions whose address is known to a table or a global.
    addresses: Vec<(u32, Why)>,
}

impl Calls {
    /// A call, or a reference. Of a function that does not exist: nothing.
    pub fn call(&mut self, caller: u32, callee: u32) {
        let caller = caller as usize;
        if self.called.len() <= caller {
            self.called.resize_with(caller + 1, Vec::new);
        }
        // Most repetitions are close to each other; the rest cost little.
        if self.called[caller].last() != Some(&callee) {
            self.called[caller].push(callee);
        }
    }

    /// A function that the host can call.
    pub fn root(&mut self, function: u32, why: Why) {
        self.roots.push((function, why));
    }

    /// A function that can be called by its address.
    pub fn address(&mut self, function: u32, place: String) {
        self.addresses.push((function, Why::Address(place)));
    }

    /// Why each of `count` functions is there. Breadth first, so chains are as
    /// short as can be; from the host's calls first, and from addresses only to
    /// what those do not reach.
    pub fn why(self, count: usize) -> Vec<Why> {
        let mut why = vec![Why::Unreached; count];
        for roots in [self.roots, self.addresses] {
            let mut queue = VecDeque::new();
            let reach =
                |function: u32, reason: Why, why: &mut Vec<Why>, queue: &mut VecDeque<_>| {
                    if let Some(slot @ Why::Unreached) = why.get_mut(function as usize) {
                        *slot = reason;
                        queue.push_back(function);
                    }
                };
            for (function, reason) in roots {
                reach(function, reason, &mut why, &mut queue);
            }
            while let Some(caller) = queue.pop_front() {
                for &callee in self.called.get(caller as usize).into_iter().flatten() {
                    reach(callee, Why::CalledBy(caller), &mut why, &mut queue);
                }
            }
        }
        why
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_short_and_begin_at_the_host() {
        let mut calls = Calls::default();
        for (caller, callee) in [
            (0, 1),
            (1, 2),
            (2, 3),
            (4, 3),
            (5, 6),
            (6, 5),
            (7, 7),
            (8, 2),
        ] {
            calls.call(caller, callee);
        }
        calls.root(0, Why::Export("main".into()));
        calls.root(4, Why::Start);
        calls.address(8, "slot 1".into());
        calls.address(1, "slot 2".into());
        calls.call(0, 99);
        assert_eq!(
            calls.why(9),
            [
                Why::Export("main".into()),
                Why::CalledBy(0),
                Why::CalledBy(1),
                // By way of the start function it is one call less.
                Why::CalledBy(4),
                Why::Start,
                Why::Unreached,
                Why::Unreached,
                Why::Unreached,
                Why::Address("slot 1".into()),
            ]
        );
    }
}
