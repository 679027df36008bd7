// A dynamic linker, as small as it can be: node node.mjs MAIN SIDE…
// Prints what MAIN's function `test` returns. The conventions are those of
// tool-conventions' DynamicLinking.md.
import { readFileSync } from "node:fs";

const functions = new Map();
const addresses = new Map();
const got = { func: new Map(), mem: new Map() };
let memory = new WebAssembly.Memory({ initial: 4 });
let table = new WebAssembly.Table({ initial: 1, element: "anyfunc" });
const stack = new WebAssembly.Global({ value: "i32", mutable: true }, 1 << 16);
let free = 1 << 16;

function dylink(module) {
  const [section] = WebAssembly.Module.customSections(module, "dylink.0");
  const bytes = new Uint8Array(section);
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const text = () => {
    const length = number();
    at += length;
    return Buffer.from(bytes.subarray(at - length, at)).toString();
  };
  const info = { weak: new Set() };
  while (at < bytes.length) {
    const kind = number();
    const end = number() + at;
    if (kind === 1) {
      [info.size, info.align, info.slots] = [number(), number(), number(), number()];
    } else if (kind === 4) {
      for (let count = number(); count > 0; count--) {
        text();
        const name = text();
        if (number() & 1) info.weak.add(name);
      }
    }
    at = end;
  }
  return info;
}

const weak = new Set();
const instances = process.argv.slice(2).map((path) => {
  const module = new WebAssembly.Module(readFileSync(path));
  const info = dylink(module);
  info.weak.forEach((name) => weak.add(name));
  const align = 1 << info.align;
  const base = (free + align - 1) & -align;
  free = base + info.size;
  const slot = info.slots > 0 ? table.grow(info.slots) : table.length;
  const constant = (value) => new WebAssembly.Global({ value: "i32" }, value);
  const imports = { env: {}, "GOT.func": {}, "GOT.mem": {} };
  const places = {
    memory,
    __indirect_function_table: table,
    __memory_base: constant(base),
    __table_base: constant(slot),
    __stack_pointer: stack,
  };
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from !== "env") {
      const all = got[from.slice(4)];
      if (!all.has(name)) all.set(name, new WebAssembly.Global({ value: "i32", mutable: true }, 0));
      imports[from][name] = all.get(name);
    } else if (name in places) {
      imports.env[name] = places[name];
    } else if (kind === "function") {
      // Whoever has it may come later.
      imports.env[name] = (...args) => functions.get(name)(...args);
    } else {
      throw new Error(`env.${name}`);
    }
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  // A program with a place of its own brings memory and table along.
  const isPlaced = !WebAssembly.Module.imports(module).some((it) => it.name === "__memory_base");
  if (isPlaced) {
    memory = exports.memory;
    table = exports.__indirect_function_table;
    free = exports.__heap_base.value;
    memory.grow(1);
  }
  for (const [name, value] of Object.entries(exports)) {
    if (value instanceof Function) {
      if (!functions.has(name)) functions.set(name, value);
    } else if (value instanceof WebAssembly.Global && !addresses.has(name)) {
      addresses.set(name, value.value + (isPlaced ? 0 : base));
    }
  }
  return exports;
});

function found(all, name) {
  if (!all.has(name) && !weak.has(name)) throw new Error(`nobody has ${name}`);
  return all.get(name);
}
// A function has one address, whoever takes it.
function slotOf(callee) {
  for (let slot = 1; slot < table.length; slot++) {
    if (table.get(slot) === callee) return slot;
  }
  const slot = table.grow(1);
  table.set(slot, callee);
  return slot;
}
for (const [name, global] of got.mem) global.value = found(addresses, name) ?? 0;
for (const [name, global] of got.func) {
  const callee = found(functions, name);
  if (callee) global.value = slotOf(callee);
}
for (const exports of instances) exports.__wasm_apply_data_relocs?.();
for (const exports of instances) exports.__wasm_call_ctors?.();
console.log(instances[0].test());
