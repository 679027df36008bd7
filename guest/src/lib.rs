//! The guest's side of genkan.
#![no_std]
