// Runs the fixtures' calls in node, which is V8: `node node.mjs FOLDER`.
// Prints how many calls were made; exits with 1 at the first that goes wrong.

import assert from "node:assert";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2];
const guests = JSON.parse(readFileSync(join(folder, "guests.json"), "utf8"));

class Exit extends Error {}

function instantiate(module) {
  const host = { data: [], stdout: "", report: "", memory: undefined };
  const bytes = (at, len) => new Uint8Array(host.memory.buffer, at >>> 0, len >>> 0);
  const text = (at, len) => new TextDecoder().decode(bytes(at, len));
  const view = () => new DataView(host.memory.buffer);
  const env = {
    read(pointer, offset) {
      const region = host.data[Number(pointer >> 32n) - 1];
      const byte = region?.[Number(pointer & 0xffffffffn) + offset];
      if (byte === undefined) throw new Error("read outside of the data");
      return byte;
    },
    __genkan_panic(message, messageLen, file, fileLen, line, column, index, len) {
      host.report = `guest panicked at ${text(file, fileLen)}:${line}:${column}`;
      // What only our host formats.
      if (index === -3n) {
        host.report += ": …";
      } else if (len !== -1n) {
        host.report += `: index out of bounds: the len is ${len} but the index is ${index}`;
      } else if (message !== 0) {
        host.report += `: ${text(message, messageLen)}`;
      }
    },
  };
  // What the host maps, this one copies: a guest cannot tell.
  const at = (pointer, len) => {
    const region = host.data[Number(pointer >> 32n) - 1];
    const start = Number(pointer & 0xffffffffn);
    if (start + len > region.length) throw new Error("outside of the data");
    return [region, start];
  };
  const genkan = {
    len: (pointer) => BigInt(at(pointer, 0)[0].length) - (pointer & 0xffffffffn),
    read_into(pointer, target, len) {
      const [region, start] = at(pointer, len);
      bytes(target, len).set(region.slice(start, start + len));
    },
    write_from(pointer, source, len) {
      const [region, start] = at(pointer, len);
      region.splice(start, len, ...bytes(source, len));
    },
    map(pointer, len) {
      const [region, start] = at(pointer, len);
      const address = host.memory.grow(Math.ceil(len / 65536)) << 16;
      bytes(address, len).set(region.slice(start, start + len));
      return address;
    },
    unmap() {},
  };
  const sizes = (count, size) => {
    view().setUint32(count, 0, true);
    view().setUint32(size, 0, true);
    return 0;
  };
  const wasi = {
    proc_exit(code) {
      if (code !== 0) throw new Error(`exit code ${code}`);
      throw new Exit();
    },
    sched_yield: () => 0,
    environ_get: () => 0,
    args_get: () => 0,
    environ_sizes_get: sizes,
    args_sizes_get: sizes,
    random_get(at, len) {
      bytes(at, len).forEach((_, i, all) => (all[i] = i * 31 + 7));
      return 0;
    },
    fd_write(fd, vectors, count, result) {
      if (fd !== 1) return 8;
      let written = 0;
      for (let i = 0; i < count; i++) {
        const at = view().getUint32(vectors + 8 * i, true);
        const len = view().getUint32(vectors + 8 * i + 4, true);
        host.stdout += text(at, len);
        written += len;
      }
      view().setUint32(result, written, true);
      return 0;
    },
    fd_prestat_get: () => 8,
  };
  const imports = { env, genkan, wasi_snapshot_preview1: wasi };
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "memory") {
      // node does not tell an imported memory's least size; 64 pages are more
      // than any of these guests asks for.
      env[name] = host.memory = new WebAssembly.Memory({ initial: 64 });
    } else {
      imports[from][name] ??= () => 52;
    }
  }
  const instance = new WebAssembly.Instance(module, imports);
  host.memory = instance.exports.memory ?? host.memory;
  return { instance, host };
}

let made = 0;
for (const compiler of readdirSync(folder).filter((name) => name.startsWith("rustc-"))) {
  for (const guest of guests) {
    const path = join(folder, compiler, `${guest.name}.wasm`);
    if (!existsSync(path)) continue;
    const { instance, host } = instantiate(new WebAssembly.Module(readFileSync(path)));
    for (const call of guest.calls) {
      Object.assign(host, { data: structuredClone(call.data ?? []), stdout: "", report: "" });
      const what = `${compiler}/${guest.name} ${JSON.stringify(call)}`;
      const run = instance.exports[call.export];
      // An i64 is a BigInt in JavaScript, and only trying tells which it takes.
      const args = (wide) =>
        (call.args ?? []).map((arg, i) => {
          if (arg.startsWith?.("data ")) return BigInt(Number(arg.slice(5)) + 1) << 32n;
          return wide || typeof arg === "string" ? BigInt.asIntN(64, BigInt(arg)) : arg;
        });
      let result, error;
      try {
        try {
          result = run(...args(false));
        } catch (failure) {
          if (!(failure instanceof TypeError || failure instanceof SyntaxError)) throw failure;
          result = run(...args(true));
        }
      } catch (failure) {
        if (!(failure instanceof Exit)) error = failure;
      }
      if (call.trap !== undefined) {
        assert(error, `${what} did not trap`);
        const same = host.report.startsWith(call.trap) && !host.report === !call.trap;
        assert(same, `${what} reported ${host.report}`);
      } else {
        if (error) throw new Error(`${what}: ${error} ${host.report}`, { cause: error });
        const same = typeof result === "bigint"
          ? result === BigInt.asIntN(64, BigInt(call.result))
          : Object.is(result, call.result);
        assert(same, `${what} returned ${result}`);
      }
      assert.strictEqual(host.stdout, call.stdout ?? "", what);
      if (call.after) assert.deepStrictEqual(host.data, call.after, what);
      made += 1;
    }
  }
}
console.log(made);
