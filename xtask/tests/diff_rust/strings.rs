// Text: Unicode tables, parsing, formatting of floats.
use std::fmt::Write;

fn main() {
    let text = "Grüße, 世界! Ἀρχιμήδης ßtraße İ";
    println!("{} {} {}", text.len(), text.chars().count(), text.to_uppercase());
    println!("{:?}", text.char_indices().filter(|(_, c)| c.is_alphabetic()).nth(9));
    println!("{:?}", text.split_whitespace().rev().collect::<Vec<_>>());
    println!("{}", text.replace("ß", "ss").to_lowercase());
    for source in ["42", "-7", "99999999999", "x", ""] {
        println!("{:?}", source.parse::<i32>());
    }
    for source in ["1e10", "0.1", "-0", "nan", "1e400", "4.9e-324", "1.7976931348623157e308"] {
        let value: f64 = source.parse().unwrap();
        println!("{} {:?} {:e} {:.3}", value, value, value, value);
    }
    let mut out = String::new();
    write!(out, "{:^20}|{:<5}|{:+}|{:08b}|{:#?}", "mid", 1, 2, 3, (1, "two", [3.0])).unwrap();
    println!("{}", out);
    println!("{:?}", String::from_utf8(vec![0xff, 0xfe]));
    println!("{}", String::from_utf8_lossy(b"a\xffb"));
    println!("{:?}", "a\u{301}\n\t\"'\u{7f}".escape_debug().collect::<String>());
}
