//! The indices of tags: imports, then the objects'.

use hashbrown::HashMap;

use crate::index::{Index, IndexVec, ObjTag, ObjectId, SymbolId, TagIndex, Within};
use crate::live::Live;
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;

/// The tags of the module.
#[derive(Debug, Default)]
pub struct Tags {
    /// Those it imports.
    pub imports: Vec<SymbolId>,
    /// Those it defines; their indices go on from the imports'.
    pub defined: Vec<Within<ObjTag>>,
    imported: HashMap<SymbolId, TagIndex>,
    objects: IndexVec<ObjectId, IndexVec<ObjTag, Option<TagIndex>>>,
}

/// Numbers them.
pub fn number(resolution: &Resolution, live: &Live) -> Tags {
    let mut tags = Tags::default();
    for &id in &live.imports {
        if resolution.symbols[id].kind == SymbolKind::Tag {
            tags.imported.insert(id, TagIndex::new(tags.imports.len()));
            tags.imports.push(id);
        }
    }
    for (id, reached) in live.reached.objects.enumerate() {
        let mut indices = IndexVec::filled(reached.tags.len(), None);
        for tag in reached.tags.marked() {
            let index = TagIndex::new(tags.imports.len() + tags.defined.len());
            indices[tag] = Some(index);
            tags.defined.push(Within::new(id, tag));
        }
        tags.objects.push(indices);
    }
    tags
}

impl Tags {
    /// The index of an imported tag.
    pub fn imported(&self, id: SymbolId) -> Option<TagIndex> {
        self.imported.get(&id).copied()
    }

    /// The index of an object's tag, if it is live.
    pub fn object(&self, tag: Within<ObjTag>) -> Option<TagIndex> {
        self.objects[tag.object][tag.index]
    }
}
