/* The functions that genkan's host offers to a guest, for guests in C.
 *
 * A pointer is 64 bits that the host gives, and no address: it names a region that
 * the host granted, and an offset in it. Adding to it moves within the region. The
 * host checks each access; one that is wrong ends the guest, and the host says what
 * it was. Numbers are little endian, as all of Wasm is.
 *
 * Needs nothing but a compiler for wasm32:
 *
 *     clang --target=wasm32 -O2 -c guest.c && cargo xtask build-guest guest.o
 *
 * The same functions for Rust are in the package `genkan-guest`.
 */
#ifndef GENKAN_H
#define GENKAN_H

#include <stdint.h>

#define GENKAN_IMPORT(name) \
    __attribute__((import_module("genkan"), import_name(#name))) extern

/* What genkan_check gives, and genkan_try_map when negated. */
enum genkan_status {
    GENKAN_OK = 0,
    GENKAN_BAD_POINTER = 1, /* never given, or its region was revoked */
    GENKAN_OUT_OF_BOUNDS = 2, /* beyond the region's end */
    GENKAN_READ_ONLY = 3, /* granted for reading */
    GENKAN_NO_ROOM = 4, /* for a window, in the guest's memory */
    GENKAN_IN_WINDOW = 5, /* a window is in the way */
    GENKAN_SHARED = 6 /* granted for sharing, so it is no slice */
};

typedef uint64_t genkan_pointer;

/* How many bytes there are from the pointer to its region's end. */
GENKAN_IMPORT(len) uint64_t genkan_len(genkan_pointer pointer);

/* Whether `length` bytes at the pointer can be read, or written if `write` is not
 * 0: a status, where the other functions would end the guest. */
GENKAN_IMPORT(check) int32_t genkan_check(genkan_pointer pointer, uint64_t length, int32_t write);

/* The 8 bits at the pointer and `offset` bytes further on. */
GENKAN_IMPORT(read_u8) uint32_t genkan_read_u8(genkan_pointer pointer, uint32_t offset);

/* The 16 bits at the pointer and `offset` bytes further on. */
GENKAN_IMPORT(read_u16) uint32_t genkan_read_u16(genkan_pointer pointer, uint32_t offset);

/* The 32 bits at the pointer and `offset` bytes further on. */
GENKAN_IMPORT(read_u32) uint32_t genkan_read_u32(genkan_pointer pointer, uint32_t offset);

/* The 64 bits at the pointer and `offset` bytes further on. */
GENKAN_IMPORT(read_u64) uint64_t genkan_read_u64(genkan_pointer pointer, uint32_t offset);

/* Writes 8 bits there. */
GENKAN_IMPORT(write_u8) void genkan_write_u8(genkan_pointer pointer, uint32_t offset, uint32_t value);

/* Writes 16 bits there. */
GENKAN_IMPORT(write_u16) void genkan_write_u16(genkan_pointer pointer, uint32_t offset, uint32_t value);

/* Writes 32 bits there. */
GENKAN_IMPORT(write_u32) void genkan_write_u32(genkan_pointer pointer, uint32_t offset, uint32_t value);

/* Writes 64 bits there. */
GENKAN_IMPORT(write_u64) void genkan_write_u64(genkan_pointer pointer, uint32_t offset, uint64_t value);

/* Writes 32 bits there if what is there is `expected`, at once for all that share
 * the region, and gives what was there. They must be aligned. Orders memory as
 * sequentially consistent atomics do. */
GENKAN_IMPORT(compare_exchange_u32) uint32_t genkan_compare_exchange_u32(genkan_pointer pointer, uint32_t offset, uint32_t expected, uint32_t value);

/* The same with 64 bits. */
GENKAN_IMPORT(compare_exchange_u64) uint64_t genkan_compare_exchange_u64(genkan_pointer pointer, uint32_t offset, uint64_t expected, uint64_t value);

/* Copies `length` bytes from the pointer into the guest's memory. */
GENKAN_IMPORT(read_into) void genkan_read_into(genkan_pointer pointer, void *target, uint32_t length);

/* Copies `length` bytes from the guest's memory to the pointer. */
GENKAN_IMPORT(write_from) void genkan_write_from(genkan_pointer pointer, const void *source, uint32_t length);

/* Makes `length` bytes at the pointer appear in the guest's memory, without a copy,
 * to be written as well if `write` is 1. The address is as aligned as the pointer's
 * offset, up to a page. No two windows overlap of which one can be written. With 2
 * added to `write`, the window may be used as a slice of Rust's, which nothing else
 * changes: behind its beginning, pointers to the region do not write, nor read if
 * it can be written; it ends when others write the region between two calls; and a
 * region that is shared has none. */
GENKAN_IMPORT(map) void *genkan_map(genkan_pointer pointer, uint32_t length, int32_t write);

/* The same, but what would end the guest is a negative status. */
GENKAN_IMPORT(try_map) int64_t genkan_try_map(genkan_pointer pointer, uint32_t length, int32_t write);

/* Gives back what `map` gave. */
GENKAN_IMPORT(unmap) void genkan_unmap(const void *address);

/* Copies the row of the last answer of a host function to `target`, if it had no
 * room: see CALLS.md. */
GENKAN_IMPORT(take_answer) void genkan_take_answer(void *target);

#undef GENKAN_IMPORT

/* Calls with text, rows of numbers and structs: CALLS.md describes them. */

/* What an exported function gives the address of, and an imported one fills in. */
typedef struct {
    uint32_t tag;   /* a bit for each Option and Result */
    uint32_t len;   /* of a row, its length in elements */
    uint64_t value; /* a number's bits, or a row's address */
} genkan_answer;

/* The address and the length of the row that a slot has, and a row's slot. */
#define GENKAN_ROW(slot) ((void *)(uintptr_t)(uint32_t)(slot))
#define GENKAN_LEN(slot) ((uint32_t)((uint64_t)(slot) >> 32))
#define GENKAN_SLOT(address, length) \
    ((uint64_t)(length) << 32 | (uint32_t)(uintptr_t)(address))

/* Says the types of functions: a literal with a line for each, which ends in \n. */
#define GENKAN_SIGNATURES(lines) \
    __asm__(".section .custom_section.genkan.calls.1,\"\",@\n.ascii " #lines "\n")

#endif
