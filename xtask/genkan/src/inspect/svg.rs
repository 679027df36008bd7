//! A module as a picture: a treemap that stands still, for documents.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Summary;
use super::names::{cut, visible};
use super::page::escape;
use super::parts::{Part, parts};
use super::text::share;
use crate::shell;

/// Pixels.
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 760.0;
/// Above the map, for what it is of.
const TITLE: f64 = 44.0;
/// What is smaller is drawn in one box with its likes: square pixels.
const SMALLEST: f64 = 80.0;
/// Groups within groups that are drawn.
const DEPTH: usize = 8;
/// Hues of the largest crates.
const HUES: [u16; 8] = [215, 140, 35, 285, 180, 5, 60, 325];

/// Texts and edges in light, then in dark, whose rules stay open.
const LIGHT: &str = "\
text{font:11px system-ui,sans-serif;fill:#17181c}.t{font-size:20px;font-weight:600}\
.s{font-size:13px;font-weight:400;fill:#565b66}.h{font-weight:600;font-size:12px}.b{fill:#fbfbfd}\
rect{stroke:#0003;stroke-width:.7}";
const DARK: &str = "\
@media(prefers-color-scheme:dark){text{fill:#eceef2}.s{fill:#a5abb8}.b{fill:#131418}\
rect{stroke:#0008}";

/// A group with what is in it, or a part.
struct Node {
    name: String,
    size: u64,
    children: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The picture of a module; `name` is its file's.
pub fn svg(name: &str, summary: &Summary) -> String {
    let name = escape(&cut(&visible(name), 60));
    let facts = format!(
        "{}, {}",
        shell::bytes(summary.size),
        shell::count(summary.functions.len(), "function"),
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">{name}: {facts}, as a treemap</title>\n<style>{}</style>\n\
         <rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"t\" x=\"10\" y=\"29\">{name}<tspan class=\"s\" dx=\"12\">{facts}</tspan></text>\n",
        style(),
    );
    let mut all = parts(summary);
    all.retain(|part| part.size > 0);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let root = node("", 0, &all);
    let mut picture = Picture {
        svg: &mut svg,
        total: summary.size,
        classes: classes(&root),
    };
    let map = Rectangle {
        x: 10.0,
        y: TITLE,
        width: WIDTH - 20.0,
        height: HEIGHT - TITLE - 10.0,
    };
    picture.inside(&root, map, 0, "n");
    svg += "</svg>\n";
    svg
}

/// Colours: `n` for what holds a module together, `d` for data, `c0` to `c7` for
/// crates; groups have `g` besides.
fn style() -> String {
    let rules = |saturation: u8, part: u8, group: u8| {
        let crates = HUES
            .iter()
            .zip(0..)
            .map(|(&hue, number)| (format!("c{number}"), hue, saturation));
        let others = [("n".to_owned(), 225, 9), ("d".to_owned(), 45, 30)];
        let rule = |(name, hue, saturation): (String, u16, u8)| {
            format!(
                ".{name}{{fill:hsl({hue},{saturation}%,{part}%)}}\
                 .{name}.g{{fill:hsl({hue},{saturation}%,{group}%)}}"
            )
        };
        others
            .into_iter()
            .chain(crates)
            .map(rule)
            .collect::<String>()
    };
    format!("{LIGHT}{}{DARK}{}}}", rules(55, 86, 77), rules(32, 30, 22))
}

/// The tree of parts that are sorted by their paths, which all have `depth`
/// groups in common. Children come largest first.
fn node(name: &str, depth: usize, parts: &[Part]) -> Node {
    let leaves = parts.partition_point(|part| part.path.len() == depth);
    let (leaves, deeper) = parts.split_at(leaves);
    let mut children: Vec<Node> = leaves
        .iter()
        .map(|part| Node {
            name: part.name.clone(),
            size: part.size,
            children: Vec::new(),
        })
        .collect();
    let groups = deeper.chunk_by(|a, b| a.path[depth] == b.path[depth]);
    children.extend(groups.map(|group| node(&group[0].path[depth], depth + 1, group)));
    children.sort_by_key(|child| Reverse(child.size));
    Node {
        name: name.to_owned(),
        size: parts.iter().map(|part| part.size).sum(),
        children,
    }
}

/// Which colour each of the largest crates has.
fn classes(root: &Node) -> BTreeMap<String, String> {
    let code = root.children.iter().find(|child| child.name == "code");
    let crates = code.into_iter().flat_map(|code| &code.children);
    let numbers = 0..HUES.len();
    crates
        .zip(numbers)
        .map(|(krate, number)| (krate.name.clone(), format!("c{number}")))
        .collect()
}

struct Picture<'a> {
    svg: &'a mut String,
    total: u64,
    classes: BTreeMap<String, String>,
}

impl Picture<'_> {
    /// Draws what is in `node` within `place`.
    fn inside(&mut self, node: &Node, place: Rectangle, depth: usize, class: &str) {
        let scale = place.width * place.height / node.size as f64;
        let is_drawn = |child: &&Node| child.size as f64 * scale >= SMALLEST;
        let drawn: Vec<&Node> = node.children.iter().take_while(is_drawn).collect();
        let rest = &node.children[drawn.len()..];
        let size = rest.iter().map(|child| child.size).sum();
        let rest = Node {
            name: format!("{} smaller", rest.len()),
            size,
            children: Vec::new(),
        };
        let mut nodes = drawn;
        if size > 0 {
            let place = nodes.partition_point(|child| child.size >= size);
            nodes.insert(place, &rest);
        }
        let sizes: Vec<f64> = nodes.iter().map(|child| child.size as f64).collect();
        for (child, place) in nodes.iter().zip(squarified(&sizes, place)) {
            let class = match depth {
                0 if child.name == "data" => "d".to_owned(),
                1 if node.name == "code" => self
                    .classes
                    .get(&child.name)
                    .map_or("n".to_owned(), String::clone),
                _ => class.to_owned(),
            };
            self.node(child, place, depth + 1, &class);
        }
    }

    fn node(&mut self, node: &Node, place: Rectangle, depth: usize, class: &str) {
        let Rectangle {
            x,
            y,
            width,
            height,
        } = place;
        let is_group = !node.children.is_empty();
        let group = if is_group { " g" } else { "" };
        let name = visible(&node.name);
        let size = shell::bytes(node.size);
        let _ = write!(
            self.svg,
            "<g><title>{}: {size}, {:.1} %</title>\
             <rect class=\"{class}{group}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            escape(&cut(&name, 300)),
            share(node.size, self.total),
        );
        if width > 34.0 && height > 13.0 {
            let wide = if is_group { 7.8 } else { 6.6 };
            let room = ((width - 8.0) / wide) as usize;
            let name = if is_group {
                name
            } else {
                without_modules(&name)
            };
            let with_size = format!("{name}  {size}");
            let text = match with_size.chars().count() <= room {
                true => with_size,
                // A few letters say nothing.
                false if room < 6 && name.chars().count() > room => String::new(),
                false => cut(&name, room),
            };
            let head = if is_group { " class=\"h\"" } else { "" };
            let _ = write!(
                self.svg,
                "<text{head} x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 4.0,
                y + 12.0,
                escape(&text)
            );
        }
        *self.svg += "</g>\n";
        if is_group && depth < DEPTH && width > 20.0 && height > 30.0 {
            let inner = Rectangle {
                x: x + 2.0,
                y: y + 16.0,
                width: width - 4.0,
                height: height - 18.0,
            };
            self.inside(node, inner, depth, class);
        }
    }
}

/// `<Vec<T> as Debug>::fmt` of `<alloc::vec::Vec<T> as core::fmt::Debug>::fmt`.
fn without_modules(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (before, after) = rest.split_at(word.max(c.len_utf8()));
        rest = after;
        // A module is what a path's next word follows, or an `impl`.
        let is_next = |next: &str| {
            next.starts_with(|c: char| c.is_alphabetic() || c == '_') || next.starts_with("<impl ")
        };
        if c.is_lowercase()
            && let Some(next) = after.strip_prefix("::")
            && is_next(next)
        {
            rest = next;
        } else {
            shown.push_str(before);
        }
    }
    shown
}

/// Rectangles as large as `sizes`, which are sorted, largest first, and as near
/// to squares as rows allow. (Bruls, Huizing, van Wijk: Squarified Treemaps.)
fn squarified(sizes: &[f64], mut place: Rectangle) -> Vec<Rectangle> {
    let mut rectangles = Vec::with_capacity(sizes.len());
    let mut rest: f64 = sizes.iter().sum();
    let mut sizes = sizes;
    while !sizes.is_empty() {
        let wide = place.width >= place.height;
        let side = place.width.min(place.height);
        let scale = place.width * place.height / rest;
        let worst = |row: &[f64]| {
            let length = row.iter().sum::<f64>() * scale / side;
            let ratio = |size: f64| {
                let other = size * scale / length;
                (length / other).max(other / length)
            };
            ratio(row[0]).max(ratio(row[row.len() - 1]))
        };
        let mut count = 1;
        while count < sizes.len() && worst(&sizes[..=count]) <= worst(&sizes[..count]) {
            count += 1;
        }
        let (row, others) = sizes.split_at(count);
        let sum: f64 = row.iter().sum();
        let length = sum * scale / side;
        let mut along = 0.0;
        for size in row {
            let part = size / sum * side;
            rectangles.push(match wide {
                true => Rectangle {
                    x: place.x,
                    y: place.y + along,
                    width: length,
                    height: part,
                },
                false => Rectangle {
                    x: place.x + along,
                    y: place.y,
                    width: part,
                    height: length,
                },
            });
            along += part;
        }
        match wide {
            true => (place.x, place.width) = (place.x + length, (place.width - length).max(0.0)),
            false => (place.y, place.height) = (place.y + length, (place.height - length).max(0.0)),
        }
        rest -= sum;
        sizes = others;
    }
    rectangles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_as_large_as_their_sizes_and_within_their_place() {
        let place = Rectangle {
            x: 3.0,
            y: 5.0,
            width: 80.0,
            height: 50.0,
        };
        let sizes = [600.0, 300.0, 40.0, 30.0, 20.0, 9.0, 1.0];
        let rectangles = squarified(&sizes, place);
        assert_eq!(rectangles.len(), sizes.len());
        for (it, size) in rectangles.iter().zip(sizes) {
            assert!((it.width * it.height - size * 4.0).abs() < 1e-6);
            assert!(it.x > 2.99 && it.x + it.width < 83.01);
            assert!(it.y > 4.99 && it.y + it.height < 55.01);
        }
        assert!(squarified(&[], place).is_empty());
    }

    #[test]
    fn modules_are_left_out_of_labels() {
        for (name, short) in [
            (
                "<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt",
                "<Vec<u8> as Debug>::fmt",
            ),
            ("core::fmt::num::imp::fmt_u64", "fmt_u64"),
            ("guest::main::{{closure}}", "main::{{closure}}"),
            ("core::fmt::float::exact::<f64>", "exact::<f64>"),
            ("core::num::<impl u64>::pow", "<impl u64>::pow"),
            ("memcpy", "memcpy"),
            ("ünder::x", "x"),
            ("", ""),
        ] {
            assert_eq!(without_modules(name), short);
        }
    }
}
