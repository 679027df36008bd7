//! What a module's element segments write before it runs.

use super::constant::constant;
use wasmparser::{ElementItems, ElementKind, Parser, Payload};

/// The functions that the active segments of a valid module put at these places of its first
/// table, as far as they list functions.
pub(super) fn functions(module: &[u8], places: &[u32]) -> Vec<Option<u32>> {
    let mut found = vec![None; places.len()];
    let sections = Parser::new(0).parse_all(module).flatten();
    let segments = sections.filter_map(|payload| match payload {
        Payload::ElementSection(section) => Some(section),
        _ => None,
    });
    for segment in segments.flatten().flatten() {
        let ElementKind::Active {
            table_index: None | Some(0),
            offset_expr,
        } = segment.kind
        else {
            continue;
        };
        let (Ok(Some(start)), ElementItems::Functions(items)) =
            (constant(&offset_expr), segment.items)
        else {
            continue;
        };
        for (place, function) in (start..).zip(items.into_iter().flatten()) {
            let wanted = places.iter().zip(&mut found);
            for (_, found) in wanted.filter(|(wanted, _)| **wanted == place) {
                *found = Some(function);
            }
        }
    }
    found
}
