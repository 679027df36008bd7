struct Thrown { int value; };
struct Guard {
    int number;
    static int ended;
    ~Guard() { ended = ended * 10 + number; }
};
int throws(int n);
