// As much of libc++abi and libunwind as one type of exception needs.
extern "C" {
struct { int lpad_index; void *lsda; int selector; } __wasm_lpad_context;
static char object[64];
// The type's tables, which nothing here looks at.
void *type_info_vtable[4] __asm__("_ZTVN10__cxxabiv117__class_type_infoE");
void *__cxa_allocate_exception(unsigned long) { return object; }
void __cxa_throw(void *thrown, void *, void *) { __builtin_wasm_throw(0, thrown); }
void *__cxa_begin_catch(void *thrown) { return thrown; }
void __cxa_end_catch() {}
int _Unwind_CallPersonality(void *) { __wasm_lpad_context.selector = 1; return 0; }
}
