//! What a module's data segments write before it runs.

use super::constant::constant;
use wasmparser::{DataKind, Parser, Payload};

/// The active segments of a valid module: for each, its address and its bytes. `None` if an
/// address is not a constant.
pub(super) fn active(module: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(section) = payload.ok()? else {
            continue;
        };
        for segment in section {
            let segment = segment.ok()?;
            if let DataKind::Active { offset_expr, .. } = segment.kind {
                segments.push((constant(&offset_expr).ok()??, segment.data));
            }
        }
    }
    Some(segments)
}
