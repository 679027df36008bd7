//! Phase 5: fold. Takes what is live; finds the functions, and the constants
//! without a name, that are the same in the module. One is written for all of
//! them: identical code folding.
//!
//! Two are the same if they have one type, the same bytes outside of relocations,
//! and relocations that write the same. It is enough that what two of them refer
//! to is the same in its turn: so functions that call each other fold with their
//! twins.
//!
//! A program cannot tell. A pointer to a function is a slot of the table, and
//! every function whose address is taken keeps a slot of its own; every export
//! keeps its name. Of data, only constants fold whose address no program relies
//! on (`constant`).

mod constant;
mod partition;
mod shape;

use hashbrown::{HashMap, HashSet};
use wasmparser::RelocationType;

use crate::error::Result;
use crate::fold::partition::Partition;
use crate::index::{IndexVec, ObjFunction, ObjectId, Within};
use crate::live::Live;
use crate::options::{Icf, Options};
use crate::resolve::resolution::{Chunk, FunctionRef, Resolution};

/// Which functions and constants are written, and for which others.
#[derive(Debug, Default)]
pub struct Folds {
    folded: HashSet<Chunk>,
    groups: Vec<Group>,
}

/// Functions, or constants, that are the same.
#[derive(Debug)]
pub struct Group {
    /// The first of them, in the order of the inputs, which is written.
    pub leader: Chunk,
    /// The others.
    pub folded: Vec<Chunk>,
}

/// Finds what is the same.
///
/// # Errors
///
/// If relocations are damaged.
pub fn fold(resolution: &Resolution, live: &Live, options: &Options) -> Result<Folds> {
    // Where relocations are kept, each is of the function that an object has; a
    // dynamic linker may take two exports of one function for one pointer.
    let is_final = !options.keeps_relocations() && !resolution.is_dynamic;
    if options.icf == Icf::None || !is_final {
        return Ok(Folds::default());
    }
    let twins = shape::alike(resolution, live)?;
    let candidates: Vec<Chunk> = twins.iter().flatten().copied().collect();
    let mut positions = HashMap::with_capacity(candidates.len());
    for (position, &chunk) in candidates.iter().enumerate() {
        positions.insert(chunk, position as u32);
    }
    let (classes, references) = shape::split(resolution, &twins, &positions)?;
    let classes = Partition::new(classes, references).refine();
    let mut of_classes: Vec<(u32, Chunk)> = classes.into_iter().zip(candidates).collect();
    of_classes.sort_unstable();
    let classes = of_classes.chunk_by(|one, other| one.0 == other.0);
    Ok(Folds::new(classes))
}

impl Folds {
    /// Of classes, the members of each in order.
    fn new<'c>(classes: impl Iterator<Item = &'c [(u32, Chunk)]>) -> Self {
        let mut groups: Vec<Group> = classes
            .filter(|class| class.len() > 1)
            .map(|class| Group {
                leader: class[0].1,
                folded: class[1..].iter().map(|&(_, chunk)| chunk).collect(),
            })
            .collect();
        groups.sort_unstable_by_key(|group| group.leader);
        let folded = groups.iter().flat_map(|group| &group.folded);
        Folds {
            folded: folded.copied().collect(),
            groups,
        }
    }

    /// Whether another is written for this one.
    pub fn is_folded(&self, chunk: Chunk) -> bool {
        self.folded.contains(&chunk)
    }

    /// All that is folded, with what is written for it, in the order of the
    /// inputs.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How often the module's code calls each function that is written.
    ///
    /// # Errors
    ///
    /// If relocations are damaged.
    pub fn calls(
        &self,
        resolution: &Resolution,
        live: &Live,
    ) -> Result<IndexVec<ObjectId, IndexVec<ObjFunction, u32>>> {
        let objects = live.reached.objects.iter();
        let mut calls: IndexVec<_, _> = objects.map(|reached| reached.calls.clone()).collect();
        for &folded in self.groups.iter().flat_map(|group| &group.folded) {
            for relocation in resolution.relocations(folded)? {
                if relocation.ty != RelocationType::FunctionIndexLeb {
                    continue;
                }
                let symbol = Within::new(folded.object(), relocation.symbol());
                let target = resolution.target(symbol);
                if let Some(FunctionRef::Object(callee)) = resolution.target_function(target) {
                    calls[callee.object][callee.index] -= 1;
                }
            }
        }
        for group in &self.groups {
            let Chunk::Function(leader) = group.leader else {
                continue;
            };
            for folded in &group.folded {
                if let Chunk::Function(folded) = folded {
                    let moved = std::mem::take(&mut calls[folded.object][folded.index]);
                    calls[leader.object][leader.index] += moved;
                }
            }
        }
        Ok(calls)
    }
}
