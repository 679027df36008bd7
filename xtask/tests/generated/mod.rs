//! Makes up programs in C and C++: several files, some in an archive, that use what
//! linkers tell apart. The same seed is the same program.

use std::fmt::Write as _;

/// A sequence of numbers that looks like chance (splitmix64).
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether something that happens once in `n` times does.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A file of a program.
pub struct File {
    /// `unit3.cpp`.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Whether its object is a member of the archive.
    pub in_archive: bool,
}

/// How many functions each program has that all of its files know.
const FUNCTIONS: usize = 14;
/// Functions that are weak where they are defined, several times.
const WEAK: usize = 3;
/// Functions that a C++ compiler writes into each object that calls them.
const INLINE: usize = 3;
/// Arrays of numbers.
const ARRAYS: usize = 5;

/// What every file begins with: declarations. `log` is what the constructors say.
fn header(is_cpp: bool) -> String {
    let mut text = String::from("typedef unsigned u;\n");
    text += match is_cpp {
        true => "#define THREAD thread_local\n",
        false => "#define THREAD _Thread_local\n",
    };
    for inline in 0..INLINE {
        if is_cpp {
            let salt = inline * 77 + 5;
            let _ = writeln!(
                text,
                "inline u inline{inline}(u n) {{ static u calls = {inline}; calls += 3; return n * {salt} + calls; }}"
            );
        }
    }
    text += match is_cpp {
        true => "extern \"C\" {\n",
        false => "",
    };
    for function in 0..FUNCTIONS {
        let hidden = match function % 4 {
            0 => "__attribute__((visibility(\"hidden\"))) ",
            _ => "",
        };
        let _ = writeln!(text, "{hidden}u f{function}(u n);");
    }
    for weak in 0..WEAK {
        let _ = writeln!(text, "__attribute__((weak)) u w{weak}(u n);");
    }
    for array in 0..ARRAYS {
        let _ = writeln!(text, "extern u a{array}[{}];", 8 + array);
    }
    text += "__attribute__((weak)) u nowhere(u n);\n__attribute__((weak)) extern u no_data;\n\
             extern u log_of_constructors;\nextern THREAD u own;\n\
             extern u __start_numbers[], __stop_numbers[];\n";
    if is_cpp {
        text += "}\n";
    }
    text
}

/// An expression over `n`. A function calls only those with higher numbers, so
/// that each program ends.
fn expression(chance: &mut Chance, function: usize, is_cpp: bool, unit: usize) -> String {
    let salt = chance.below(1000);
    match chance.below(13) {
        0..4 if function + 1 < FUNCTIONS => {
            let callee = function + 1 + chance.below(FUNCTIONS - function - 1);
            format!("f{callee}(n + {salt})")
        }
        4 => {
            let weak = chance.below(WEAK);
            format!("(w{weak} ? w{weak}(n ^ {salt}) : {salt}u)")
        }
        5 if is_cpp => format!("inline{}(n)", chance.below(INLINE)),
        6 => {
            let array = chance.below(ARRAYS);
            format!("a{array}[(n + {salt}) % {}]", 8 + array)
        }
        7 => format!("table{unit}[n % 3](n)"),
        8 => format!("(u)text{unit}[n % 5] + *inner{unit}"),
        9 => "(nowhere ? nowhere(n) : &no_data ? no_data : 7u)".to_owned(),
        10 => format!("(own += {salt}, own ^ n)"),
        11 => format!("(table{unit}[0] == table{unit}[1] ? 1u : {salt}u)"),
        12 => format!("(zeros{unit}[n % 50] += n, zeros{unit}[(n + 1) % 50])"),
        _ => format!("n * {salt}u"),
    }
}

/// What every file has of its own: tables of functions, strings, zeros, pointers
/// into arrays, numbers in a section that is walked from end to end.
fn own_data(chance: &mut Chance, unit: usize) -> String {
    let mut text = String::new();
    // Two that are the same: their addresses are not.
    for twin in ["left", "right"] {
        let _ = writeln!(text, "static u {twin}{unit}(u n) {{ return n * 31 + 4; }}");
    }
    let _ = writeln!(
        text,
        "static u (*const table{unit}[])(u) = {{ left{unit}, right{unit}, left{unit} }};"
    );
    let start = chance.below(3);
    let word = chance.pick(&["entrance hall", "trance hall", "hall of mirrors", "a word"]);
    let _ = writeln!(
        text,
        "static const char *text{unit} = \"{word}\" + {start};"
    );
    let _ = writeln!(text, "static u zeros{unit}[50];");
    let array = chance.below(ARRAYS);
    let at = chance.below(8);
    let _ = writeln!(text, "static u *inner{unit} = &a{array}[{at}];");
    let _ = writeln!(
        text,
        "__attribute__((section(\"numbers\"), used, retain)) static u number{unit} = {};",
        chance.below(100)
    );
    text
}

/// The program of a seed.
pub fn program(chance: &mut Chance) -> Vec<File> {
    let count = 3 + chance.below(4);
    let is_cpp: Vec<bool> = (0..count).map(|_| chance.once_in(2)).collect();
    let in_archive: Vec<bool> = (0..count)
        .map(|unit| unit > 0 && chance.once_in(2))
        .collect();
    let mut texts: Vec<String> = (0..count)
        .map(|unit| header(is_cpp[unit]) + &own_data(chance, unit))
        .collect();
    let language = |unit: usize| match is_cpp[unit] {
        true => "extern \"C\" ",
        false => "",
    };
    for function in 0..FUNCTIONS {
        let unit = chance.below(count);
        let body: Vec<String> = (0..1 + chance.below(4))
            .map(|_| expression(chance, function, is_cpp[unit], unit))
            .collect();
        let _ = writeln!(
            texts[unit],
            "{}u f{function}(u n) {{ u r = n; r = r * 33 + {}; return r; }}",
            language(unit),
            body.join("; r = r * 33 + ")
        );
    }
    for weak in 0..WEAK {
        // Defined nowhere, once or several times; a strong one beats them all.
        let strong = chance.once_in(3).then(|| chance.below(count));
        for (unit, text) in texts.iter_mut().enumerate() {
            let salt = chance.below(1000);
            let attribute = match strong == Some(unit) {
                true => "",
                false if chance.once_in(2) => continue,
                false => "__attribute__((weak)) ",
            };
            // The declaration says weak; what is strong has a name of its own.
            let name = match attribute {
                "" => format!("strong{weak}"),
                _ => format!("w{weak}"),
            };
            let language = language(unit);
            let _ = writeln!(
                text,
                "{language}{attribute}u {name}(u n) {{ return n + {salt}; }}"
            );
        }
    }
    for array in 0..ARRAYS {
        let unit = chance.below(count);
        let numbers: Vec<String> = (0..8 + array)
            .map(|_| chance.below(5000).to_string())
            .collect();
        let numbers = match chance.once_in(4) {
            true => "0".to_owned(),
            false => numbers.join(", "),
        };
        let _ = writeln!(texts[unit], "u a{array}[{}] = {{ {numbers} }};", 8 + array);
    }
    // Each constructor has a priority of its own, so that their order is known.
    let mut priority = 101;
    for (unit, text) in texts.iter_mut().enumerate() {
        if chance.once_in(2) {
            priority += 1 + chance.below(9);
            let _ = writeln!(
                text,
                "__attribute__((constructor({priority}))) static void begin{unit}(void) {{ log_of_constructors = log_of_constructors * 3 + {unit}; }}"
            );
        }
    }
    let thread_local = chance.below(100);
    let _ = writeln!(
        texts[0],
        "u log_of_constructors = 1;\nTHREAD u own = {thread_local};\n\
         {}u run(void) {{\n  u r = log_of_constructors;\n\
         for (u *at = __start_numbers; at < __stop_numbers; at++) r += *at;\n\
         for (u n = 0; n < 9; n++) r = r * 17 + f0(n) + f1(n * n);\n  return r;\n}}",
        language(0)
    );
    let files = texts.into_iter().enumerate();
    let file = |(unit, text)| File {
        name: format!("unit{unit}.{}", if is_cpp[unit] { "cpp" } else { "c" }),
        text,
        in_archive: in_archive[unit],
    };
    files.map(file).collect()
}
