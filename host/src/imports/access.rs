//! The functions that read and write regions, for a guest that has them in its own code:
//! it calls them for what is wrong, and they say what that was.

use super::ending::ended;
use super::state::{Env, State};
use crate::rewrite::Access;
use crate::types::Pointer;
use wasmer::{Function, FunctionEnv, RuntimeError, Store};

pub(super) fn function(store: &mut Store, env: &FunctionEnv<State>, access: Access) -> Function {
    macro_rules! typed {
        ($function:expr) => {
            Function::new_typed_with_env(store, env, $function)
        };
    }
    match access {
        Access::Read(8) => typed!(|env: Env<'_>, pointer: i64, offset: u32| {
            read(&env, pointer, offset).map(u64::from_le_bytes)
        }),
        Access::Read(4) => typed!(|env: Env<'_>, pointer: i64, offset: u32| {
            read(&env, pointer, offset).map(u32::from_le_bytes)
        }),
        Access::Read(2) => typed!(|env: Env<'_>, pointer: i64, offset: u32| {
            read(&env, pointer, offset).map(|bytes| u32::from(u16::from_le_bytes(bytes)))
        }),
        Access::Read(_) => typed!(|env: Env<'_>, pointer: i64, offset: u32| {
            read(&env, pointer, offset).map(|[byte]| u32::from(byte))
        }),
        Access::Write(8) => typed!(|env: Env<'_>, pointer: i64, offset: u32, value: u64| {
            write(&env, pointer, offset, &value.to_le_bytes())
        }),
        Access::Write(bytes) => {
            let bytes = bytes as usize;
            typed!(move |env: Env<'_>, pointer: i64, offset: u32, value: u32| {
                write(&env, pointer, offset, &value.to_le_bytes()[..bytes])
            })
        }
        Access::Len => typed!(len),
    }
}

fn read<const N: usize>(env: &Env<'_>, pointer: i64, offset: u32) -> Result<[u8; N], RuntimeError> {
    let mut bytes = [0; N];
    let space = &env.data().space;
    let pointer = Pointer::from_bits(pointer as u64);
    let read = space.admit(pointer, (offset, N as u32, false), false);
    let read = read.and_then(|()| space.read_region(pointer + offset, &mut bytes));
    read.map_err(ended)?;
    Ok(bytes)
}

fn write(env: &Env<'_>, pointer: i64, offset: u32, bytes: &[u8]) -> Result<(), RuntimeError> {
    let space = &env.data().space;
    let pointer = Pointer::from_bits(pointer as u64);
    let written = space.admit(pointer, (offset, bytes.len() as u32, true), false);
    let written = written.and_then(|()| space.write_region(pointer + offset, bytes));
    written.map_err(ended)
}

fn len(env: Env<'_>, pointer: i64) -> Result<u64, RuntimeError> {
    let pointer = Pointer::from_bits(pointer as u64);
    env.data().space.len(pointer).map_err(ended)
}
