//! Phase 8: index spaces. Takes what is live and what is synthetic; gives every
//! function, global, tag, table and type of the module its index, and every
//! function whose address is taken its slot in the table.

pub mod functions;
pub mod globals;
pub mod tables;
pub mod tags;
pub mod types;

use crate::error::Result;
use crate::fold::Folds;
use crate::indices::functions::Functions;
use crate::indices::globals::Globals;
use crate::indices::tables::Tables;
use crate::indices::tags::Tags;
use crate::indices::types::Types;
use crate::layout::Layout;
use crate::live::Live;
use crate::options::Options;
use crate::resolve::resolution::Resolution;
use crate::synthetic::Synthetics;

/// All indices of the module.
#[derive(Debug)]
pub struct IndexSpaces<'a> {
    /// Functions.
    pub functions: Functions,
    /// Globals.
    pub globals: Globals,
    /// Tables, and the slots of the function table.
    pub tables: Tables,
    /// Tags.
    pub tags: Tags,
    /// Types.
    pub types: Types<'a>,
}

/// Numbers them.
///
/// # Errors
///
/// If relocations are damaged.
pub fn number<'a>(
    resolution: &Resolution<'a>,
    live: &Live<'a>,
    folds: &Folds,
    layout: &Layout<'a>,
    synthetics: &Synthetics<'a>,
    options: &Options,
) -> Result<IndexSpaces<'a>> {
    let functions = functions::number(resolution, live, folds, synthetics, options)?;
    let tags = tags::number(resolution, live);
    Ok(IndexSpaces {
        globals: globals::number(resolution, live, synthetics, options),
        tables: tables::number(resolution, live, layout, &functions, options),
        types: types::number(resolution, live, synthetics, &functions, &tags, options),
        functions,
        tags,
    })
}
