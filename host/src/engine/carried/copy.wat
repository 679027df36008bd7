;; Copies between the region space and the guest's memory, for guests to import.
;; The table and `fault` are as in access.wat.
;; Long copies are done in pieces of 256 KiB; `end` is called between them, and ends the
;; guest if it is to end. It is called with 2 for a range that the guest's memory has
;; not: the engine would take a backtrace on the guest's stack.
(module $genkan
  (import "genkan" "space" (memory $space 65536 65536))
  (import "genkan" "memory" (memory $guest 0))
  (import "genkan" "fault" (func $fault (param i64 i32 i32 i32)))
  (import "genkan" "end" (func $end (param i32)))

  (func $check (param $at i32) (param $length i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $length)))
          (i64.shl (i64.extend_i32_u (memory.size $guest)) (i64.const 16)))
      (then (call $end (i32.const 2)))))

  (func $in (param $target i32) (param $source i32) (param $length i32)
    (call $check (local.get $target) (local.get $length))
    (block $last
      (loop $pieces
        (br_if $last (i32.le_u (local.get $length) (i32.const 0x40000)))
        (memory.copy $guest $space
          (local.get $target) (local.get $source) (i32.const 0x40000))
        (local.set $target (i32.add (local.get $target) (i32.const 0x40000)))
        (local.set $source (i32.add (local.get $source) (i32.const 0x40000)))
        (local.set $length (i32.sub (local.get $length) (i32.const 0x40000)))
        (call $end (i32.const 0))
        (br $pieces)))
    (memory.copy $guest $space
      (local.get $target) (local.get $source) (local.get $length)))

  (func $out (param $target i32) (param $source i32) (param $length i32)
    (call $check (local.get $source) (local.get $length))
    (block $last
      (loop $pieces
        (br_if $last (i32.le_u (local.get $length) (i32.const 0x40000)))
        (memory.copy $space $guest
          (local.get $target) (local.get $source) (i32.const 0x40000))
        (local.set $target (i32.add (local.get $target) (i32.const 0x40000)))
        (local.set $source (i32.add (local.get $source) (i32.const 0x40000)))
        (local.set $length (i32.sub (local.get $length) (i32.const 0x40000)))
        (call $end (i32.const 0))
        (br $pieces)))
    (memory.copy $space $guest
      (local.get $target) (local.get $source) (local.get $length)))

  ;; Copies `length` bytes from the pointer into the guest's memory.
  (func $read_into (export "read_into")
    (param $pointer i64) (param $target i32) (param $length i32)
    (local $entry i32)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (loop $again
      (block $bad
        (br_if $bad
          (i32.ne (i32.load $space (local.get $entry))
                  (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
        (br_if $bad
          (i64.gt_u
            (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
                     (i64.extend_i32_u (local.get $length)))
            (i64.load32_u $space offset=8 (local.get $entry))))
        (call $in
          (local.get $target)
          (i32.add (i32.load $space offset=4 (local.get $entry)) (i32.wrap_i64 (local.get $pointer)))
          (local.get $length))
        (return))
      (call $fault (local.get $pointer) (i32.const 0) (local.get $length) (i32.const 0))
      (br_if $again (local.get $length))))

  ;; Copies `length` bytes from the guest's memory to the pointer.
  (func $write_from (export "write_from")
    (param $pointer i64) (param $source i32) (param $length i32)
    (local $entry i32)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (loop $again
      (block $bad
        (br_if $bad
          (i32.ne (i32.load $space (local.get $entry))
                  (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
        (br_if $bad
          (i64.gt_u
            (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
                     (i64.extend_i32_u (local.get $length)))
            (i64.load32_u $space offset=12 (local.get $entry))))
        (call $out
          (i32.add (i32.load $space offset=4 (local.get $entry)) (i32.wrap_i64 (local.get $pointer)))
          (local.get $source)
          (local.get $length))
        (return))
      (call $fault (local.get $pointer) (i32.const 0) (local.get $length) (i32.const 1))
      (br_if $again (local.get $length))))
)
