// Runs a threaded WASI program: `node node.mjs MODULE INITIAL MAXIMUM`, its memory
// in pages. A small host of its own: node's does not take shared memories.

import { readFileSync, writeSync } from "node:fs";
import { Worker, isMainThread, workerData } from "node:worker_threads";

const OK = 0;
const BAD_FILE = 8;
const NOT_IMPLEMENTED = 52;

function run({ module, memory, thread, ids }) {
  const bytes = () => new Uint8Array(memory.buffer);
  const words = () => new DataView(memory.buffer);
  const wasi = {
    args_sizes_get(count, size) {
      words().setUint32(count, 0, true);
      words().setUint32(size, 0, true);
      return OK;
    },
    args_get: () => OK,
    environ_sizes_get(count, size) {
      words().setUint32(count, 0, true);
      words().setUint32(size, 0, true);
      return OK;
    },
    environ_get: () => OK,
    clock_time_get(_clock, _precision, to) {
      words().setBigUint64(to, process.hrtime.bigint(), true);
      return OK;
    },
    random_get(at, length) {
      // The same each time: these are tests.
      bytes().fill(7, at, at + length);
      return OK;
    },
    fd_write(file, list, count, written) {
      let total = 0;
      for (let n = 0; n < count; n++) {
        const at = words().getUint32(list + 8 * n, true);
        const length = words().getUint32(list + 8 * n + 4, true);
        writeSync(file, bytes().slice(at, at + length));
        total += length;
      }
      words().setUint32(written, total, true);
      return OK;
    },
    fd_fdstat_get(_file, to) {
      bytes().fill(0, to, to + 24);
      bytes()[to] = 2;
      return OK;
    },
    fd_prestat_get: () => BAD_FILE,
    sched_yield: () => OK,
    proc_exit(code) {
      process.exit(code);
    },
  };
  const host = new Proxy(wasi, { get: (all, name) => all[name] ?? (() => NOT_IMPLEMENTED) });
  const spawn = (argument) => {
    const id = Atomics.add(new Int32Array(ids), 0, 1);
    new Worker(new URL(import.meta.url), {
      workerData: { module, memory, ids, thread: { id, argument } },
    });
    return id;
  };
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === "memory") imports[from][name] = memory;
    else if (name === "thread-spawn") imports[from][name] = spawn;
    else imports[from][name] = host[name];
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  if (thread) exports.wasi_thread_start(thread.id, thread.argument);
  else exports._start();
}

if (isMainThread) {
  const [path, initial, maximum] = process.argv.slice(2);
  const memory = new WebAssembly.Memory({ initial: +initial, maximum: +maximum, shared: true });
  const ids = new SharedArrayBuffer(4);
  Atomics.store(new Int32Array(ids), 0, 1);
  run({ module: new WebAssembly.Module(readFileSync(path)), memory, ids });
  process.exit(0);
} else {
  run(workerData);
}
