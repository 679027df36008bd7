// The allocator under growing, shrinking and random access.
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};

fn main() {
    let mut squares: HashMap<u32, String> = HashMap::new();
    for n in 0..500 {
        squares.insert(n * 7919 % 1009, format!("{}²={}", n, n * n));
    }
    squares.retain(|n, _| n % 3 == 0);
    let mut keys: Vec<_> = squares.keys().copied().collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    println!("{} {:?} {}", squares.len(), &keys[..5], squares[&keys[0]]);

    let words: BTreeMap<&str, usize> = "the cat sat on the mat with the other cat"
        .split(' ')
        .fold(BTreeMap::new(), |mut count, word| {
            *count.entry(word).or_default() += 1;
            count
        });
    println!("{:?}", words);

    let mut heap: BinaryHeap<_> = [3, 1, 4, 1, 5, 9, 2, 6].iter().collect();
    print!("heap");
    while let Some(n) = heap.pop() {
        print!(" {}", n);
    }
    println!();

    let mut queue: VecDeque<Vec<u8>> = (1..40).map(|n| vec![n as u8; n * 100]).collect();
    queue.rotate_left(7);
    queue.drain(3..20);
    println!("{} {}", queue.len(), queue.iter().map(|v| v.len()).sum::<usize>());

    let set: HashSet<_> = (0..100).map(|n| n % 13).collect();
    let ordered: BTreeSet<_> = set.iter().collect();
    let list: LinkedList<i32> = ordered.into_iter().copied().filter(|n| (3..7).contains(n)).collect();
    println!("{} {:?}", set.len(), list);

    let big = vec![1_u64; 300_000];
    println!("{}", big.iter().sum::<u64>() + big.into_boxed_slice().len() as u64);
}
