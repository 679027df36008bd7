// A guest in C: libc's heap, a weak function, constructors, function pointers.
// Its object is beside it, for those who have no clang; guests.json says how it
// was made.

typedef __SIZE_TYPE__ size_t;
void *malloc(size_t);
void free(void *);

__attribute__((import_module("env"), import_name("read")))
int host_read(long long pointer, unsigned char offset);

struct node {
  struct node *next;
  int value;
};

static int base;

__attribute__((constructor(200))) static void second(void) { base *= 2; }
__attribute__((constructor(100))) static void first(void) { base = 4; }

__attribute__((weak)) int scale(int value) { return value + base; }

static int add(int a, int b) { return a + b; }
static int max(int a, int b) { return a > b ? a : b; }
static int (*const folds[])(int, int) = {add, max};

// Folds the `count` bytes at `pointer`, each scaled, from a list on the heap.
__attribute__((export_name("fold")))
int fold(long long pointer, unsigned count, unsigned how) {
  struct node *list = 0;
  for (unsigned i = 0; i < count; i++) {
    struct node *node = malloc(sizeof *node);
    node->value = scale(host_read(pointer, i));
    node->next = list;
    list = node;
  }
  int result = 0;
  while (list) {
    struct node *next = list->next;
    result = folds[how % 2](result, list->value);
    free(list);
    list = next;
  }
  return result;
}
