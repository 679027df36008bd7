// The program: uses the library's functions and data, and lends it its own.
int side_fn(int);
extern int side_data;
extern int *side_ptr;
int side_calls(int (*)(int), int);
int (*side_pick(int))(int);
int side_sum(int);
__attribute__((weak)) int absent(void);
extern int absent_data __attribute__((weak));

int main_data = 40;
int constructed;
int (*table[2])(int);
int main_fn(int n) { return n + main_data; }
int (*pointers[3])(int) = {main_fn, side_fn, 0};
int *of_side = &side_data;
int *inside = &main_data;
static int zero[300];
static int own(int n) { return n * 3; }
int (*own_pointer)(int) = own;
__attribute__((weak)) int both(void) { return 1; }
__attribute__((constructor(200))) static void second(void) { constructed = constructed * 10 + 2; }
__attribute__((constructor(100))) static void first(void) { constructed = constructed * 10 + 1; }

int test(void) {
    int sum = constructed;
    sum = sum * 3 + side_fn(5);
    sum = sum * 3 + pointers[0](1) + pointers[1](2) + own_pointer(3);
    sum = sum * 3 + *of_side + *inside + *side_ptr;
    sum = sum * 3 + side_calls(own, 4) + side_calls(main_fn, 5) + side_calls(side_fn, 6);
    sum = sum * 3 + side_pick(0)(7) + side_pick(1)(8) + side_pick(2)(9);
    sum = sum * 3 + (side_pick(1) == main_fn) + 2 * (side_pick(2) == side_fn);
    side_data += 100;
    sum = sum * 3 + side_sum(10) + zero[250]++;
    sum = sum * 3 + both() + (absent ? absent() : 50) + (&absent_data ? absent_data : 60);
    return sum;
}
