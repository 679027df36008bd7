// The library.
int main_fn(int);
extern int main_data;
extern int (*pointers[3])(int);
int both(void);

int side_data = 7;
static int hidden = 1000;
static int zero[100];
__attribute__((visibility("hidden"))) int inner = 2000;
int *side_ptr = &side_data;
static int *own_ptr = &hidden;
int *main_ptr = &main_data;
int *second = &main_data + 1 - 1;
static int local(int n) { return n + hidden + inner; }
__attribute__((visibility("hidden"))) int hidden_fn(int n) { return n * n; }
int side_fn(int n) { return n * 2 + side_data; }
static int (*fns[4])(int) = {local, main_fn, side_fn, hidden_fn};
__attribute__((weak)) int both(void) { return 2; }
__attribute__((constructor)) static void construct(void) { hidden += *main_ptr; }

int side_calls(int (*fn)(int), int n) { return fn(n) + fns[3](n); }
int (*side_pick(int n))(int) { return fns[n]; }
int side_sum(int n) {
    zero[n] += pointers[1](n);
    return zero[n] + *side_ptr + *own_ptr + *main_ptr + *second + both() + inner;
}
