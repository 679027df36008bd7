//! A million random operations on regions, windows and guests, against a model of
//! what must happen. `GENKAN_OPERATIONS` and `GENKAN_SEED` choose others.

mod guests;
mod random;

use genkan_host::{Access, Engine, Error, Guest, Module, Pointer, PointerProblem, Region, Value};
use random::Random;

const FUNCTIONS: &str = r#"
    (import "genkan" "len" (func $len (param i64) (result i64)))
    (import "genkan" "check" (func $check (param i64 i64 i32) (result i32)))
    (import "genkan" "read_u8" (func $read_u8 (param i64 i32) (result i32)))
    (import "genkan" "read_u32" (func $read_u32 (param i64 i32) (result i32)))
    (import "genkan" "read_u64" (func $read_u64 (param i64 i32) (result i64)))
    (import "genkan" "write_u8" (func $write_u8 (param i64 i32 i32)))
    (import "genkan" "write_u32" (func $write_u32 (param i64 i32 i32)))
    (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
    (import "genkan" "write_from" (func $write_from (param i64 i32 i32)))
    (import "genkan" "try_map" (func $try_map (param i64 i32 i32) (result i64)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (export "len" (func $len)) (export "check" (func $check))
    (export "read_u8" (func $read_u8)) (export "read_u32" (func $read_u32))
    (export "read_u64" (func $read_u64)) (export "write_u8" (func $write_u8))
    (export "write_u32" (func $write_u32)) (export "write_from" (func $write_from))
    (export "try_map" (func $try_map)) (export "unmap" (func $unmap))
    ;; In these, the host's pass writes the access itself.
    (func (export "inlined_len") (param i64) (result i64) (call $len (local.get 0)))
    (func (export "inlined_read_u8") (param i64 i32) (result i32)
        (call $read_u8 (local.get 0) (local.get 1)))
    (func (export "inlined_read_u32") (param i64 i32) (result i32)
        (call $read_u32 (local.get 0) (local.get 1)))
    (func (export "inlined_read_u64") (param i64 i32) (result i64)
        (call $read_u64 (local.get 0) (local.get 1)))
    (func (export "inlined_write_u8") (param i64 i32 i32)
        (call $write_u8 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "inlined_write_u32") (param i64 i32 i32)
        (call $write_u32 (local.get 0) (local.get 1) (local.get 2)))
    ;; What read_into has brought, as a sum.
    (func (export "read_into") (param $p i64) (param $at i32) (param $len i32) (result i32)
        (local $sum i32)
        (call $read_into (local.get $p) (local.get $at) (local.get $len))
        (block $done
            (loop $next
                (br_if $done (i32.eqz (local.get $len)))
                (local.set $len (i32.sub (local.get $len) (i32.const 1)))
                (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
                    (i32.load8_u (i32.add (local.get $at) (local.get $len)))))
                (br $next)))
        (local.get $sum))
    (func (export "fill") (param i32 i32 i32)
        (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))"#;

/// Where guests keep what they copy: their first page.
const BUFFER: u32 = 1024;
const BUFFER_LEN: u32 = 16 << 10;

impl Random {
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

const GUESTS: usize = 3;

/// What a region must be.
struct Model {
    region: Region,
    bytes: Vec<u8>,
    granted: [Option<Access>; GUESTS],
    id: u64,
}

/// A window that a guest has.
struct Window {
    address: u32,
    /// The region and the offset in it.
    id: u64,
    offset: u32,
    len: u32,
    write: bool,
    /// Whether it is a slice.
    slice: bool,
    /// Whether its region was taken away since; or it is a slice, and others may have
    /// written the region.
    gone: bool,
}

struct World {
    random: Random,
    modules: [Module; 2],
    guests: Vec<Guest>,
    windows: [Vec<Window>; GUESTS],
    regions: Vec<Model>,
    stale: Vec<Pointer>,
    next_id: u64,
}

#[test]
fn a_million_random_operations() {
    let number = |name: &str, default| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().expect(name))
    };
    let operations = number("GENKAN_OPERATIONS", 1_000_000);
    let seed = number("GENKAN_SEED", 0x5eed);
    let engine = Engine::default();
    let importing = format!(r#"(module (import "env" "memory" (memory 1)) {FUNCTIONS})"#);
    let exporting = format!(r#"(module {FUNCTIONS} (memory (export "memory") 1))"#);
    let modules = [importing, exporting].map(|text| engine.compile(text.as_bytes()).unwrap());
    let guests = (0..GUESTS).map(|g| Guest::new(&modules[g % 2]).unwrap());
    let mut world = World {
        random: Random(seed | 1),
        guests: guests.collect(),
        modules,
        windows: Default::default(),
        regions: Vec::new(),
        stale: Vec::new(),
        next_id: 0,
    };
    for operation in 0..operations {
        let step = std::panic::AssertUnwindSafe(|| world.step());
        if let Err(panic) = std::panic::catch_unwind(step) {
            eprintln!("operation {operation} with GENKAN_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
    world.compare_all();
}

impl World {
    fn step(&mut self) {
        match self.random.below(1000) {
            0..10 => self.make(),
            10..18 => self.drop_region(),
            18..30 => self.grant(),
            30..34 => self.revoke(),
            34..36 => self.grow(),
            36..37 => self.restart(),
            37..60 => self.host_writes(),
            60..62 => self.compare_all(),
            62..100 => self.map(),
            100..130 => self.unmap(),
            130..330 => self.use_window(),
            330..400 => self.copy(false),
            400..470 => self.copy(true),
            470..480 => self.len(),
            480..740 => self.read(),
            _ => self.write(),
        }
    }

    fn make(&mut self) {
        if self.regions.len() >= 24 {
            return self.drop_region();
        }
        let len = match self.random.below(6) {
            0 => 0,
            1 => 4096 * (1 + self.random.below(3)),
            _ => 1 + self.random.below(10_000),
        };
        let bytes: Vec<u8> = (0..len).map(|_| self.random.next() as u8).collect();
        let region = Region::copy_of(&bytes).unwrap();
        assert!(
            !self.stale.contains(&region.pointer()),
            "a pointer came alive again"
        );
        self.next_id += 1;
        self.regions.push(Model {
            region,
            bytes,
            granted: [None; GUESTS],
            id: self.next_id,
        });
        for _ in 0..2 {
            self.grant();
        }
    }

    fn any_region(&mut self) -> Option<usize> {
        match self.regions.len() {
            0 => None,
            n => Some(self.random.below(n as u64) as usize),
        }
    }

    fn drop_region(&mut self) {
        let Some(index) = self.any_region() else {
            return;
        };
        let model = self.regions.swap_remove(index);
        assert_eq!(*model.region.as_slice().unwrap(), model.bytes[..]);
        if self.stale.len() < 1000 {
            self.stale.push(model.region.pointer());
        }
        for window in self.windows.iter_mut().flatten() {
            window.gone |= window.id == model.id;
        }
    }

    fn grant(&mut self) {
        let Some(index) = self.any_region() else {
            return;
        };
        let g = self.random.below(GUESTS as u64) as usize;
        let access = match self.random.below(8) {
            0..2 => Access::Read,
            2 => Access::SharedRead,
            3 => Access::SharedReadWrite,
            _ => Access::ReadWrite,
        };
        let model = &mut self.regions[index];
        self.guests[g].grant(&model.region, access).unwrap();
        model.granted[g] = Some(access);
        for window in self.windows[g].iter_mut() {
            window.gone |= window.id == model.id;
        }
    }

    fn revoke(&mut self) {
        let Some(index) = self.any_region() else {
            return;
        };
        let g = self.random.below(GUESTS as u64) as usize;
        let model = &mut self.regions[index];
        self.guests[g].revoke(&model.region);
        model.granted[g] = None;
        for window in self.windows[g].iter_mut() {
            window.gone |= window.id == model.id;
        }
    }

    fn grow(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        let pages: i32 = self.call(g, "grow", &[Value::I32(1)]).unwrap();
        assert!(pages >= 1);
        let first = Value::I32(pages.wrapping_mul(65536));
        assert_eq!(self.call::<i32>(g, "load", &[first]).unwrap(), 0);
    }

    /// A guest goes, and another comes.
    fn restart(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        self.guests[g] = Guest::new(&self.modules[g % 2]).unwrap();
        self.windows[g].clear();
        for model in &mut self.regions {
            model.granted[g] = None;
        }
    }

    fn host_writes(&mut self) {
        let Some(index) = self.any_region() else {
            return;
        };
        let model = &mut self.regions[index];
        if model.bytes.is_empty() {
            return;
        }
        let at = self.random.below(model.bytes.len() as u64) as usize;
        let byte = self.random.next() as u8;
        model.region.as_mut_slice().unwrap()[at] = byte;
        model.bytes[at] = byte;
        let id = model.id;
        for window in self.windows.iter_mut().flatten() {
            window.gone |= window.slice && window.id == id;
        }
    }

    fn compare_all(&self) {
        for model in &self.regions {
            assert_eq!(*model.region.as_slice().unwrap(), model.bytes[..]);
        }
    }

    fn call<R: genkan_host::Results>(
        &mut self,
        g: usize,
        name: &str,
        args: &[Value],
    ) -> Result<R, Error> {
        for model in &self.regions {
            if model.granted[g].is_some_and(|access| access != Access::Read) {
                let all = self.windows.iter_mut().enumerate();
                let others = all.filter(|(other, _)| *other != g);
                for window in others.flat_map(|(_, windows)| windows) {
                    window.gone |= window.slice && window.id == model.id;
                }
            }
        }
        let result = self.guests[g].call(name, args);
        if result.is_err() {
            self.guests[g].reset().unwrap();
            self.windows[g].clear();
        }
        result
    }

    /// The function called, or inlined.
    fn one_way(&mut self, name: &str) -> String {
        match self.random.one_in(2) {
            true => name.into(),
            false => format!("inlined_{name}"),
        }
    }

    /// A pointer: good, past the end, stale or invented.
    fn pointer(&mut self) -> Pointer {
        if self.random.one_in(30) {
            let invented = match self.random.below(4) {
                0 => self.random.next(),
                1 => self.random.below(1 << 33),
                2 => 0,
                _ => match self.any_region() {
                    None => 7,
                    Some(index) => {
                        self.regions[index].region.pointer().to_bits() ^ 1 << self.random.below(64)
                    }
                },
            };
            return Pointer::from_bits(invented);
        }
        if self.random.one_in(30) && !self.stale.is_empty() {
            let index = self.random.below(self.stale.len() as u64) as usize;
            return self.stale[index] + self.random.below(10) as u32;
        }
        let Some(index) = self.any_region() else {
            return Pointer::from_bits(0);
        };
        let len = self.regions[index].bytes.len() as u64;
        let offset = match self.random.below(20) {
            0 => self.random.next() as u32,
            1 => len as u32,
            2 => len.saturating_sub(1) as u32,
            _ => self.random.below(len + 1) as u32,
        };
        self.regions[index].region.pointer() + offset
    }

    /// The region and offset that a guest's access is to, or why it is wrong, as
    /// `check` puts it.
    fn expect(&self, g: usize, p: Pointer, len: u64, write: bool) -> Result<(usize, usize), i32> {
        let (index, at) = self.expect_grant(g, p, len, write)?;
        let slices = self.windows[g].iter().filter(|w| {
            let id = self.regions[index].id;
            w.slice && !w.gone && w.id == id && (write || w.write)
        });
        let first = slices.map(|w| u64::from(w.offset)).min();
        match first {
            Some(first) if len > 0 && at as u64 + len > first => Err(5),
            _ => Ok((index, at)),
        }
    }

    /// The same, whatever windows there are.
    fn expect_grant(
        &self,
        g: usize,
        p: Pointer,
        len: u64,
        write: bool,
    ) -> Result<(usize, usize), i32> {
        let tag = p.to_bits() >> 32;
        let offset = p.to_bits() & 0xffff_ffff;
        let index = self
            .regions
            .iter()
            .position(|m| m.region.pointer().to_bits() >> 32 == tag)
            .ok_or(1)?;
        let model = &self.regions[index];
        match model.granted[g] {
            None => Err(1),
            Some(_) if offset + len > model.bytes.len() as u64 => Err(2),
            Some(Access::Read | Access::SharedRead) if write && offset + len > 0 => Err(3),
            Some(_) => Ok((index, offset as usize)),
        }
    }

    /// Asks with `check`; and if the access is wrong, now and then provokes the
    /// trap as well. The model's answer if it is right.
    fn admit(
        &mut self,
        g: usize,
        p: Pointer,
        len: u64,
        write: bool,
        provoke: impl FnOnce(&mut Self) -> Option<Error>,
    ) -> Option<(usize, usize)> {
        let expected = self.expect(g, p, len, write);
        let args = [p.into(), len.into(), Value::from(write)];
        let code: i32 = self.call(g, "check", &args).unwrap();
        assert_eq!(code, expected.err().unwrap_or(0), "{p} {len} {write}");
        let Err(code) = expected else {
            return expected.ok();
        };
        if self.random.one_in(8) {
            match provoke(self) {
                Some(Error::Pointer(error)) => {
                    let same = match error.problem {
                        PointerProblem::OutOfBounds { .. } => code == 2,
                        PointerProblem::ReadOnly { .. } => code == 3,
                        PointerProblem::InWindow { .. } => code == 5,
                        _ => code == 1,
                    };
                    assert!(same, "{error} but {code}");
                }
                other => panic!("{other:?}"),
            }
        }
        None
    }

    fn read(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        let p = self.pointer();
        let (name, width) =
            [("read_u8", 1), ("read_u32", 4), ("read_u64", 8)][self.random.below(3) as usize];
        let name = &self.one_way(name);
        let args = [p.into(), Value::I32(0)];
        let wrong = |world: &mut Self| world.call::<Vec<Value>>(g, name, &args).err();
        let Some((index, at)) = self.admit(g, p, width, false, wrong) else {
            return;
        };
        let mut bytes = [0; 8];
        let width = width as usize;
        bytes[..width].copy_from_slice(&self.regions[index].bytes[at..at + width]);
        let expected = u64::from_le_bytes(bytes);
        let values: Vec<Value> = self.call(g, name, &args).unwrap();
        let found = match values[..] {
            [Value::I32(value)] => u64::from(value as u32),
            [Value::I64(value)] => value as u64,
            _ => panic!("{values:?}"),
        };
        assert_eq!(found, expected);
    }

    fn write(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        let p = self.pointer();
        let (name, width) = [("write_u8", 1), ("write_u32", 4)][self.random.below(2) as usize];
        let name = &self.one_way(name);
        let value = self.random.next() as u32;
        let args = [p.into(), Value::I32(0), value.into()];
        let wrong = |world: &mut Self| world.call::<()>(g, name, &args).err();
        let Some((index, at)) = self.admit(g, p, width, true, wrong) else {
            return;
        };
        self.call::<()>(g, name, &args).unwrap();
        let width = width as usize;
        let bytes = &value.to_le_bytes()[..width];
        self.regions[index].bytes[at..at + width].copy_from_slice(bytes);
    }

    fn len(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        let p = self.pointer();
        let name = &self.one_way("len");
        let wrong = |world: &mut Self| world.call::<u64>(g, name, &[p.into()]).err();
        let Some((index, at)) = self.admit(g, p, 0, false, wrong) else {
            return;
        };
        let len: u64 = self.call(g, name, &[p.into()]).unwrap();
        assert_eq!(len as usize, self.regions[index].bytes.len() - at);
    }

    fn copy(&mut self, write: bool) {
        let g = self.random.below(GUESTS as u64) as usize;
        let p = self.pointer();
        let len = match self.random.below(10) {
            0 => self.random.below(u64::from(BUFFER_LEN)) as u32,
            _ => self.random.below(64) as u32,
        };
        let name = if write { "write_from" } else { "read_into" };
        let args = [p.into(), BUFFER.into(), len.into()];
        let wrong = |world: &mut Self| world.call::<Vec<Value>>(g, name, &args).err();
        let Some((index, at)) = self.admit(g, p, len.into(), write, wrong) else {
            return;
        };
        let range = at..at + len as usize;
        if write {
            let byte = self.random.next() as u8;
            self.call::<()>(g, "fill", &[BUFFER.into(), byte.into(), len.into()])
                .unwrap();
            self.call::<()>(g, name, &args).unwrap();
            self.regions[index].bytes[range].fill(byte);
        } else {
            let sum: i32 = self.call(g, name, &args).unwrap();
            let bytes = self.regions[index].bytes[range].iter().rev();
            let expected = bytes.fold(0i32, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(i32::from(*byte))
            });
            assert_eq!(sum, expected);
        }
    }

    fn map(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        if self.windows[g].len() >= 32 {
            return self.unmap();
        }
        let p = self.pointer();
        let len = 1 + self.random.below(6000) as u32;
        let (write, slice) = (self.random.one_in(2), self.random.one_in(2));
        let kind = i32::from(write) | i32::from(slice) << 1;
        let args = [p.into(), len.into(), kind.into()];
        let address: i64 = self.call(g, "try_map", &args).unwrap();
        let expected = self.expect_grant(g, p, len.into(), write);
        let expected = expected.and_then(|(index, at)| {
            let model = &self.regions[index];
            if let Some(Access::SharedRead | Access::SharedReadWrite) = model.granted[g] {
                return if slice { Err(6) } else { Ok((index, at)) };
            }
            let overlaps = |w: &Window| {
                let at = at as u32;
                let both = at < w.offset + w.len && w.offset < at + len;
                both && !w.gone && w.id == model.id && (write || w.write)
            };
            match self.windows[g].iter().any(overlaps) {
                true => Err(5),
                false => Ok((index, at)),
            }
        });
        match expected {
            Err(code) => assert_eq!(address, i64::from(-code)),
            Ok((index, offset)) => {
                let address = u32::try_from(address).unwrap();
                let overlaps = self.windows[g]
                    .iter()
                    .any(|w| address < w.address + w.len && w.address < address + len);
                assert!(!overlaps && address >= 65536);
                self.windows[g].push(Window {
                    address,
                    id: self.regions[index].id,
                    offset: offset as u32,
                    len,
                    write,
                    slice,
                    gone: false,
                });
            }
        }
    }

    fn unmap(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        match self.windows[g].len() {
            0 => {
                let error = self.call::<()>(g, "unmap", &[BUFFER.into()]).unwrap_err();
                assert!(matches!(error, Error::Window { .. }), "{error:?}");
            }
            n => {
                let index = self.random.below(n as u64) as usize;
                let window = self.windows[g].swap_remove(index);
                let address = Value::from(window.address);
                self.call::<()>(g, "unmap", &[address]).unwrap();
                if self.random.one_in(8) {
                    let error = self.call::<i32>(g, "load", &[address]).unwrap_err();
                    assert!(matches!(error, Error::WindowAccess { .. }), "{error:?}");
                }
            }
        }
    }

    fn use_window(&mut self) {
        let g = self.random.below(GUESTS as u64) as usize;
        let n = self.windows[g].len();
        if n == 0 {
            return self.map();
        }
        let index = self.random.below(n as u64) as usize;
        let store = self.random.one_in(2);
        let window = &self.windows[g][index];
        let (id, gone, write) = (window.id, window.gone, window.write);
        let into = self.random.below(window.len.into()) as u32;
        let address = Value::from(window.address + into);
        let at = (window.offset + into) as usize;
        let byte = self.random.next() as u8;
        if gone || (store && !write) {
            // A trap takes long: not each time.
            if !self.random.one_in(4) {
                return;
            }
        }
        if store {
            let outcome = self.call::<()>(g, "store", &[address, byte.into()]);
            match outcome {
                Err(Error::RegionGone(_)) => assert!(gone),
                Err(Error::WindowAccess { .. }) => assert!(!gone && !write),
                Err(error) => panic!("{error:?}"),
                Ok(()) => {
                    assert!(write && !gone);
                    let model = self.regions.iter_mut().find(|m| m.id == id).unwrap();
                    model.bytes[at] = byte;
                }
            }
        } else {
            match self.call::<i32>(g, "load", &[address]) {
                Err(Error::RegionGone(_)) => assert!(gone),
                Err(error) => panic!("{error:?}"),
                Ok(found) => {
                    assert!(!gone);
                    let model = self.regions.iter().find(|m| m.id == id).unwrap();
                    assert_eq!(found, i32::from(model.bytes[at]));
                }
            }
        }
    }
}
