#include "exceptions.h"
extern "C" int test(int n) {
    Guard::ended = 0;
    int result;
    try {
        Guard guard{9};
        result = throws(n + 1);
    } catch (Thrown &thrown) {
        result = 1000 + thrown.value;
    }
    return Guard::ended * 10000 + result;
}
