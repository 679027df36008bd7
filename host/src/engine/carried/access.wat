;; Checked access to the region space, for guests to import: reading and writing
;; without leaving Wasm.
;;
;; The space's first megabyte is the table of regions. A region's entry is at
;; 16 * slot:
;;    0  the upper half of its pointer, `generation | slot`
;;    4  where its bytes begin in the space
;;    8  how many bytes can be read
;;   12  how many bytes can be written
;; Behind all entries, at 0x100000 + 4 * slot, there is the length of the region. Fewer
;; bytes can be read or written where the guest has windows that show the others.
;; An entry without a region is zero, and fits no pointer. Slot 0 is nobody's, and
;; its entry holds a generation and slot that no pointer to it can have: so the
;; pointer 0 is not valid.
;;
;; The calls that a guest makes directly are not made: the load-time pass writes the
;; access in their place (`rewrite/access.rs`), and regions are entered before the guest
;; runs. Of other guests they are entered at their first use. So whatever does not pass goes to `fault`:
;; it enters the region and returns, or says what was wrong and traps. The reads and
;; writes do so in functions of their own, so that nothing is kept over that call.
(module $genkan
  (import "genkan" "space" (memory $space 65536 65536))
  ;; fault(pointer, offset, length, 0 for a read, 1 for a write, 2 for one that is aligned)
  (import "genkan" "fault" (func $fault (param i64 i32 i32 i32)))
  ;; status(pointer, length, write): what `check` gives
  (import "genkan" "status" (func $status (param i64 i64 i32) (result i32)))

  ;; The byte at pointer + offset, little endian.
  (func $read_u8 (export "read") (export "read_u8") (param $pointer i64) (param $offset i32) (result i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 1))
                  (i64.load32_u $space offset=8 (local.get $entry))))
      (return (i32.load8_u $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at))))))
    (call $slow_read_u8 (local.get $pointer) (local.get $offset)))
  (func $slow_read_u8 (param $pointer i64) (param $offset i32) (result i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 1) (i32.const 0))
    (call $read_u8 (local.get $pointer) (local.get $offset)))

  ;; The 2 bytes at pointer + offset, little endian.
  (func $read_u16 (export "read_u16") (param $pointer i64) (param $offset i32) (result i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 2))
                  (i64.load32_u $space offset=8 (local.get $entry))))
      (return (i32.load16_u $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at))))))
    (call $slow_read_u16 (local.get $pointer) (local.get $offset)))
  (func $slow_read_u16 (param $pointer i64) (param $offset i32) (result i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 2) (i32.const 0))
    (call $read_u16 (local.get $pointer) (local.get $offset)))

  ;; The 4 bytes at pointer + offset, little endian.
  (func $read_u32 (export "read_u32") (param $pointer i64) (param $offset i32) (result i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 4))
                  (i64.load32_u $space offset=8 (local.get $entry))))
      (return (i32.load $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at))))))
    (call $slow_read_u32 (local.get $pointer) (local.get $offset)))
  (func $slow_read_u32 (param $pointer i64) (param $offset i32) (result i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 4) (i32.const 0))
    (call $read_u32 (local.get $pointer) (local.get $offset)))

  ;; The 8 bytes at pointer + offset, little endian.
  (func $read_u64 (export "read_u64") (param $pointer i64) (param $offset i32) (result i64)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 8))
                  (i64.load32_u $space offset=8 (local.get $entry))))
      (return (i64.load $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at))))))
    (call $slow_read_u64 (local.get $pointer) (local.get $offset)))
  (func $slow_read_u64 (param $pointer i64) (param $offset i32) (result i64)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 8) (i32.const 0))
    (call $read_u64 (local.get $pointer) (local.get $offset)))

  ;; Stores a byte at pointer + offset, little endian.
  (func $write_u8 (export "write_u8") (param $pointer i64) (param $offset i32) (param $value i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 1))
                  (i64.load32_u $space offset=12 (local.get $entry))))
      (i32.store8 $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at)))
        (local.get $value))
      (return))
    (call $slow_write_u8 (local.get $pointer) (local.get $offset) (local.get $value)))
  (func $slow_write_u8 (param $pointer i64) (param $offset i32) (param $value i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 1) (i32.const 1))
    (call $write_u8 (local.get $pointer) (local.get $offset) (local.get $value)))

  ;; Stores 2 bytes at pointer + offset, little endian.
  (func $write_u16 (export "write_u16") (param $pointer i64) (param $offset i32) (param $value i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 2))
                  (i64.load32_u $space offset=12 (local.get $entry))))
      (i32.store16 $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at)))
        (local.get $value))
      (return))
    (call $slow_write_u16 (local.get $pointer) (local.get $offset) (local.get $value)))
  (func $slow_write_u16 (param $pointer i64) (param $offset i32) (param $value i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 2) (i32.const 1))
    (call $write_u16 (local.get $pointer) (local.get $offset) (local.get $value)))

  ;; Stores 4 bytes at pointer + offset, little endian.
  (func $write_u32 (export "write_u32") (param $pointer i64) (param $offset i32) (param $value i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 4))
                  (i64.load32_u $space offset=12 (local.get $entry))))
      (i32.store $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at)))
        (local.get $value))
      (return))
    (call $slow_write_u32 (local.get $pointer) (local.get $offset) (local.get $value)))
  (func $slow_write_u32 (param $pointer i64) (param $offset i32) (param $value i32)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 4) (i32.const 1))
    (call $write_u32 (local.get $pointer) (local.get $offset) (local.get $value)))

  ;; Stores 8 bytes at pointer + offset, little endian.
  (func $write_u64 (export "write_u64") (param $pointer i64) (param $offset i32) (param $value i64)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const 8))
                  (i64.load32_u $space offset=12 (local.get $entry))))
      (i64.store $space
        (i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at)))
        (local.get $value))
      (return))
    (call $slow_write_u64 (local.get $pointer) (local.get $offset) (local.get $value)))
  (func $slow_write_u64 (param $pointer i64) (param $offset i32) (param $value i64)
    (call $fault (local.get $pointer) (local.get $offset) (i32.const 8) (i32.const 1))
    (call $write_u64 (local.get $pointer) (local.get $offset) (local.get $value)))

  ;; How many bytes there are from the pointer to its region's end.
  (func $len (export "len") (param $pointer i64) (result i64)
    (local $entry i32)
    (local $len i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (loop $again (result i64)
      (local.set $len (i64.load32_u $space offset=0x100000
        (i32.shr_u (local.get $entry) (i32.const 2))))
      (if (i32.and
            (i32.eq (i32.load $space (local.get $entry))
                    (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32))))
            (i64.le_u (i64.and (local.get $pointer) (i64.const 0xffffffff))
                      (local.get $len)))
        (then
          (return (i64.sub (local.get $len)
                           (i64.and (local.get $pointer) (i64.const 0xffffffff))))))
      (call $fault (local.get $pointer) (i32.const 0) (i32.const 0) (i32.const 0))
      (br $again)))

  ;; Whether `length` bytes at the pointer can be read, or written if `write` is
  ;; not 0: a status. Only what is right is known here.
  (func $check (export "check")
    (param $pointer i64) (param $length i64) (param $write i32) (result i32)
    (local $entry i32)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (block $other
      (br_if $other
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $other (i64.gt_u (local.get $length) (i64.const 0xffffffff)))
      (br_if $other
        (i64.gt_u (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
                           (local.get $length))
                  (if (result i64) (local.get $write)
                    (then (i64.load32_u $space offset=12 (local.get $entry)))
                    (else (i64.load32_u $space offset=8 (local.get $entry))))))
      (return (i32.const 0)))
    (call $status (local.get $pointer) (local.get $length) (local.get $write)))

  ;; Stores a number of 32 bits at pointer + offset if what is there is `expected`, at once
  ;; for all that share the region, and gives what was there. One that is not aligned
  ;; does not pass.
  (func $compare_exchange_u32 (export "compare_exchange_u32")
    (param $pointer i64) (param $offset i32) (param $expected i32) (param $value i32)
    (result i32)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (loop $again
      (block $bad
        (br_if $bad
          (i32.ne (i32.load $space (local.get $entry))
                  (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
        (br_if $bad
          (i64.gt_u (i64.add (local.get $at) (i64.const 4))
                    (i64.load32_u $space offset=12 (local.get $entry))))
        (br_if $bad (i32.wrap_i64 (i64.and (local.get $at) (i64.const 3))))
        (return (i32.atomic.rmw.cmpxchg $space
          (i32.add (i32.load $space offset=4 (local.get $entry))
                   (i32.wrap_i64 (local.get $at)))
          (local.get $expected) (local.get $value))))
      (call $fault (local.get $pointer) (local.get $offset) (i32.const 4) (i32.const 2))
      (br $again))
    (unreachable))

  ;; Stores a number of 64 bits at pointer + offset if what is there is `expected`, at once
  ;; for all that share the region, and gives what was there. One that is not aligned
  ;; does not pass.
  (func $compare_exchange_u64 (export "compare_exchange_u64")
    (param $pointer i64) (param $offset i32) (param $expected i64) (param $value i64)
    (result i64)
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (loop $again
      (block $bad
        (br_if $bad
          (i32.ne (i32.load $space (local.get $entry))
                  (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
        (br_if $bad
          (i64.gt_u (i64.add (local.get $at) (i64.const 8))
                    (i64.load32_u $space offset=12 (local.get $entry))))
        (br_if $bad (i32.wrap_i64 (i64.and (local.get $at) (i64.const 7))))
        (return (i64.atomic.rmw.cmpxchg $space
          (i32.add (i32.load $space offset=4 (local.get $entry))
                   (i32.wrap_i64 (local.get $at)))
          (local.get $expected) (local.get $value))))
      (call $fault (local.get $pointer) (local.get $offset) (i32.const 8) (i32.const 2))
      (br $again))
    (unreachable))
)
