(module
  (type (;0;) (func (param i64 i32) (result i32)))
  (import "env" "__linear_memory" (memory (;0;) 0))
  (import "env" "read" (func (;0;) (type 0)))
  (export "calc" (func 1))
  (func (type 0) (param i64 i32) (result i32)
    local.get 0
    i32.const 2
    call 0
    local.get 1
    i32.const 255
    i32.and
    i32.add))
