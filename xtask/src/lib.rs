//! This repository's chores: the fixtures, and the measurements; and genkan's own
//! commands on its examples.

pub mod bench_host;
pub mod bench_link;
pub mod clang;
pub mod cli;
pub mod conformance;
pub mod fixtures;
pub mod new;
pub mod plot;
pub mod repository;
pub mod reproduce;
